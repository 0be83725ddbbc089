"""Documents about a model in service: one for each hour in which applications arrived. `monitoring`."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, FiniteFloat

from loan_default.database.stored_document import Count, Digest, Key, Share, StoredDocument, Text, Time


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StoredSignal(_Part):
    """One measure of drift, with what it asks for."""

    measured: Text
    """A value of `evaluation.drift.Measured`."""
    column: Text | None = None
    """None = it is of the score."""
    value: FiniteFloat
    expected: FiniteFloat | None = None
    critical: FiniteFloat
    limit: FiniteFloat
    level: Text
    """A value of `evaluation.drift.DriftLevel`."""
    sentence: Text


class ColumnDrift(_Part):
    """A column in the applications of one hour."""

    name: Text
    psi: FiniteFloat
    missing: Share | None = None
    """Share of missing values; None = they share a bin with unknown categories."""
    unknown: Share | None = None
    """Share of categories that the model does not know; None = a number, or as above."""


class Estimated(_Part):
    """What the metrics may be while outcomes are not known, if the PDs are right."""

    mean_pd: Share
    auc: Share
    brier: Share


class Realised(_Part):
    """Metrics of the model's own predictions whose outcomes have come."""

    since: Time
    """Predictions from that time on count."""
    rows: Count
    bads: Count
    mean_pd: Share
    bad_rate: Share
    auc: Share | None = None
    """None = too few outcomes of either kind."""
    auc_low: Share | None = None
    auc_high: Share | None = None
    expected_auc: Share | None = None
    """AUC that these predictions have on the average if their PDs are right; None as above, or an older
    release measured them."""
    brier: Share | None = None


class MonitoredHour(StoredDocument):
    """The applications of one hour beside the training of the model that scores. `monitoring`."""

    passing = frozenset({"computed_at"})

    version: Key
    """Version of the model."""
    digest: Digest
    """SHA-256 of its artefact."""
    begins_at: Time
    """The hour, in UTC."""
    computed_at: Time
    rows: Count
    """Applications that arrived in the hour."""
    score_psi: FiniteFloat | None = None
    """PSI of the score in this hour alone; None without rows."""
    mean_pd: Share | None = None
    approval_rate: Share | None = None
    """Share of the applications up to the cut-off."""
    cutoff: Share
    columns: tuple[ColumnDrift, ...] = ()
    estimated: Estimated | None = None
    """None = too few rows."""
    level: Text
    """What the assessed sample asks for: ok, insufficient, warn or act."""
    assessed_rows: Count
    """Rows of the assessed sample: those of this hour and of as many before it as are needed."""
    assessed_since: Time
    """Begin of the first hour of that sample."""
    signals: tuple[StoredSignal, ...] = ()
    """All measures of that sample, those that ask for most first; none = too few rows."""
    realised: Realised | None = None
    """None = no outcome of a prediction has come."""
    retraining: Text | None = None
    """Id of the command by which the policy asked for a training; None = it did not."""
    retraining_at: Time | None = None

    @property
    def id(self) -> str:
        """Model and hour: computing an hour again replaces it."""
        return hour_id(self.version, self.begins_at)


def hour_id(version: str, begins_at: datetime) -> str:
    """The id of an hour of a model."""
    return f"{version}/{begins_at:%Y-%m-%dT%H}"
