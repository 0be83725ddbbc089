"""A model that is loaded once and scores single records, few rows at a time, without a frame in between.

    scorer = load_scorer(path, version=version, sha256=sha256, cache=home / SERVING_FILES)
    canonical = scorer.read([{"income": 40_000, …}])      # each a record, or the RecordError that refuses it
    pds = scorer.score([record for record in canonical if not isinstance(record, RecordError)])

The PDs are those of `LoanModel.predict_pd` to 1e-6.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import Canonical, RecordBatchReader
from loan_default.data.schema.records import RecordError, record_model, validate_record
from loan_default.errors import ArtifactError
from loan_default.models.features import Features
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import Logits, probability_by
from loan_default.models.network_graph import fastest
from loan_default.models.populations import Reference, reference_of_model
from loan_default.serving.explanations import Explanation, ReasonPolicy, explain
from loan_default.serving.hints import Hint, hint_for
from loan_default.serving.record_arrays import RecordArrays
from loan_default.serving.serving_files import frozen_from

FEW_RECORDS = 5
"""So many records at most are validated faster one by one (`benchmarks/serving_engine.py`)."""


class Scorer:
    """One loaded model. It never changes, and threads may share it."""

    def __init__(self, model: FrozenModel, logits: Logits) -> None:
        self.version: str = model.version
        self.digest: str = model.digest
        """SHA-256 of the model file."""
        self.schema: Schema = model.schema
        self.features: Features = model.features
        """What was fitted on the training rows; the page for people shows what is usual by it."""
        self._model, self._logits = model, logits
        self._record_model = record_model(model.schema)
        self._read_many = RecordBatchReader(model.schema)
        self._arrays_of = RecordArrays(model.features)
        self._below = _shares_below(model.reference)
        self._references: dict[ReasonPolicy, Reference] = {}

    def read(self, records: Sequence[Mapping[str, Any]]) -> list[Canonical | RecordError]:
        """For each record its canonical form, or the error that names the rules it breaks.

        The schema is that of the model. A target may be absent.
        """
        if len(records) > FEW_RECORDS:
            return self._read_many(records)
        return [self._read_one(record) for record in records]

    def score(self, canonical: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Calibrated PD `(rows,)` of canonical records."""
        inputs = self._arrays_of(canonical)
        return self._model.calibrated(probability_by(self._logits, inputs), inputs)

    def explain(self, canonical: Sequence[Mapping[str, Any]], policy: ReasonPolicy) -> list[Explanation]:
        """Why canonical records have their PDs.

        Raises:
            ConfigurationError: the model keeps no applicants as the policy needs them.
        """
        if policy not in self._references:  # two threads may both make it: it is the same
            self._references[policy] = reference_of_model(self._model, policy.against, cutoff=policy.cutoff)
        return explain(self._model, self._arrays_of(canonical), self._references[policy])

    def hint(self, record: Mapping[str, Any], *, cutoff: float) -> Hint | None:
        """The smallest change of a canonical record that brings its PD down to the cut-off, if one does."""
        return hint_for(record, schema=self.schema, features=self.features, cutoff=cutoff, score=self.score)

    def check_golden_rows(self) -> None:
        """Score the golden rows of the model.

        Raises:
            ArtifactError: a PD is not the one that the training stored.
        """
        golden = self._model.golden
        try:
            pds = self.score(golden.records)
        except (LookupError, ValueError) as error:  # arrays that do not fit one another
            raise ArtifactError(
                f"a model must score its golden rows, however: {self.version}: {type(error).__name__}"
            ) from error
        golden.check(pds, what=f"model {self.version}")

    def warm_up(self) -> None:
        """Score golden rows one by one, so that no request pays for what only the first ones do."""
        for record in self._model.golden.records:
            self.score([record])

    def share_below(self, pd: float) -> float | None:
        """The share of the training population with a lower PD, 0 to 1; None where the model does not know.

        Between the edges of the ten bins that it has of that population the share is interpolated.
        """
        if self._below is None:
            return None
        pds, shares = self._below
        return float(np.interp(pd, pds, shares))

    def _read_one(self, record: Mapping[str, Any]) -> Canonical | RecordError:
        try:
            return validate_record(record, self.schema, model=self._record_model)
        except RecordError as error:
            return error


def load_scorer(path: Path, *, version: str | None, sha256: str, cache: Path) -> Scorer:
    """The scorer of a registered model, verified and warmed up.

    Args:
        path: the model file.
        version: the version that it must hold; None = whichever it does.
        sha256: the digest that it must have.
        cache: folder of what is derived from model files (`layout.SERVING_FILES` under home).

    Raises:
        ArtifactError: the file is damaged, has another digest, holds another version, or does not give its
            golden rows the PDs that its training stored.
        DependencyError: what a server scores by could not be derived now.
    """
    model = frozen_from(path, sha256=sha256, cache=cache)
    if version is not None and model.version != version:
        raise ArtifactError(
            f"a model file must hold the registered version, however: it holds {model.version!r}, registered "
            f"is {version!r}"
        )
    logits, _ = fastest(model.network)
    scorer = Scorer(model, logits)
    scorer.check_golden_rows()
    scorer.warm_up()
    return scorer


def _shares_below(reference: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """PDs and the share of the training population below each, both ascending; None = nothing is known."""
    histogram = reference.get("pd")
    if not isinstance(histogram, Mapping) or not {"edges", "counts"} <= histogram.keys():
        return None
    edges, counts = np.asarray(histogram["edges"], np.float64), np.asarray(histogram["counts"], np.float64)
    inside = counts[: len(edges) + 1]  # the last count is that of missing values
    if len(counts) != len(edges) + 2 or inside.sum() <= 0:
        return None
    return np.concatenate([[0.0], edges, [1.0]]), np.concatenate([[0.0], np.cumsum(inside) / inside.sum()])
