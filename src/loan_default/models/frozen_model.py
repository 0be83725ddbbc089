"""A model without torch: what turns records into PDs, as plain arrays and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.language import Schema
from loan_default.models.calibration import Calibration
from loan_default.models.features import Features, Inputs
from loan_default.models.frozen_network import FrozenNetwork
from loan_default.models.golden_rows import GoldenRows
from loan_default.models.trees import Trees, blend


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrozenModel:
    """A trained, calibrated model that scores by numpy alone."""

    version: str
    digest: str
    """SHA-256 of the model file that it was made from."""
    schema: Schema
    features: Features
    network: FrozenNetwork
    trees: Trees | None
    calibration: Calibration
    reference: Mapping[str, Any]
    """Histograms of the training rows and of PDs."""
    golden: GoldenRows

    def predict_pd(self, inputs: Inputs) -> NDArray[np.float64]:
        """Calibrated PD `(rows,)`."""
        return self.calibrated(self.network.probability(inputs), inputs)

    def calibrated(self, probability: NDArray[np.float64], inputs: Inputs) -> NDArray[np.float64]:
        """Calibrated PD `(rows,)` of what the network gives some rows."""
        if self.trees is not None:
            probability = blend(probability, self.trees.logits(inputs))
        return self.calibration.apply(probability)
