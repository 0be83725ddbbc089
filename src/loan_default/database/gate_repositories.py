"""The repository of approvals."""

from datetime import datetime

from loan_default.database.connect import LONG_CALL_SECONDS
from loan_default.database.driver_errors import database_errors
from loan_default.database.gate_documents import Approval
from loan_default.database.repositories import Repository


class ApprovalRepository(Repository[Approval]):
    """Approvals of models by people; they are added and never changed."""

    collection = "approvals"
    time_field = "granted_at"
    kind = Approval

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("version", name="by_version")

    def of_model(self, version: str) -> list[Approval]:
        """Return all approvals of a model, the newest first."""
        return self._newest({"version": version})

    def that_holds(self, version: str, *, at: datetime, champion: str | None, rev: int) -> Approval | None:
        """Return the newest approval of a model that holds at a time beside a champion; None = none does.

        Args:
            rev: moves of the champion's pointer so far.
        """
        for approval in self.of_model(version):
            if approval.holds(at=at, champion=champion, rev=rev):
                return approval
        return None
