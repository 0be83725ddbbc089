"""The models that answer at one time: the champion, and the challenger of an experiment where one runs.

A lineup never changes. What holds one answers by it to the end, while the next one takes its place: so no
request is answered by half of a swap.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import RecordError
from loan_default.database.experiment_documents import Mode
from loan_default.database.serving_documents import Group
from loan_default.serving.explanations import Explanation, ReasonPolicy
from loan_default.serving.hints import Hint

_HASH_BYTES = 8
_HASHES = 2.0**64
_MIRRORED = "shadow"
"""Salt of the shadow's share, so that a person's group says nothing about it."""


class Scorer(Protocol):
    """A loaded model as the doors use it; immutable, and safe to share between threads."""

    @property
    def version(self) -> str:
        """Version of the model."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the model's artefact."""
        ...

    @property
    def schema(self) -> Schema:
        """The schema that the model was trained with."""
        ...

    def read(self, records: Sequence[Mapping[str, Any]], /) -> list[dict[str, Any] | RecordError]:
        """Return each record as a canonical one, or why it breaks the model's schema."""
        ...

    def score(self, canonical: Sequence[dict[str, Any]], /) -> NDArray[np.float64]:
        """Return the PDs `(rows,)` of canonical records."""
        ...

    def explain(self, canonical: Sequence[dict[str, Any]], policy: ReasonPolicy, /) -> list[Explanation]:
        """Return why canonical records have their PDs; ConfigurationError where the model cannot."""
        ...

    def hint(self, record: dict[str, Any], /, *, cutoff: float) -> Hint | None:
        """Return the smallest change of a canonical record after which it is approved, if there is one."""
        ...

    def check_golden_rows(self) -> None:
        """Score the rows whose PDs its training stored; ArtifactError where they come out otherwise."""

    def share_below(self, pd: float, /) -> float | None:
        """Return the share of the training population with a lower PD, None where it is not known."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """The running experiment."""

    id: str
    """Id of the experiment, and salt of its draw: another experiment draws anew."""
    mode: Mode
    share: float
    """Share of the applicants, from 0 to 1, whom the challenger scores."""
    challenger: Scorer

    def takes(self, unit: str) -> bool:
        """Return whether the challenger scores an applicant.

        It depends on nothing but the experiment and the applicant, so all replicas agree. Whom it takes it
        takes with any larger share as well.
        """
        salt = self.id if self.mode is Mode.SHARE else f"{self.id}\0{_MIRRORED}"
        digest = hashlib.sha256(f"{salt}\0{unit}".encode(errors="surrogatepass")).digest()
        return int.from_bytes(digest[:_HASH_BYTES]) < self.share * _HASHES


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineup:
    """The models that answer."""

    champion: Scorer
    trial: Trial | None = None
    """None = no experiment runs."""

    def group_of(self, unit: str | None) -> Group:
        """Return the group whose model answers for an applicant; None = nobody is named: the champion."""
        trial = self.trial
        if trial is None or trial.mode is Mode.SHADOW or unit is None or not trial.takes(unit):
            return Group.CHAMPION
        return Group.CHALLENGER

    def scorer_of(self, group: Group) -> Scorer:
        """Return the model of a group; without an experiment it is the champion."""
        if group is Group.CHAMPION or self.trial is None:
            return self.champion
        return self.trial.challenger
