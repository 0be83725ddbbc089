"""Derive the serving file of a model file, as a command that a process without torch starts.

    python -m loan_default.models.deriving MODEL.pth SHA256 SERVING.npz

It ends with 0, or with 3 and the reason in one line where the model file is refused.
"""

import os
import sys
from pathlib import Path

from loan_default.errors import ArtifactError
from loan_default.models.freezing import frozen_model
from loan_default.models.golden_rows import golden_frame
from loan_default.models.model import golden_rows_of, load_model
from loan_default.models.serving_file import write_serving_file

REFUSED = 3
"""Exit status where the model file is refused; Python itself ends with 1 or 2."""
_NICENESS = 5
"""Scores that are asked for meanwhile come first."""


def derive(path: Path, *, sha256: str, out: Path) -> None:
    """Write the serving file of a model file, which must score its golden rows by torch and by the arrays.

    A file of an older release has none: then they are made from what the model gives them now.

    Raises:
        ArtifactError: the file is damaged, has another digest, or does not score its golden rows.
    """
    model = load_model(path, sha256=sha256)
    golden = model.golden or golden_rows_of(model)
    frame = golden_frame(golden.records, model.schema)
    golden.check(model.predict_pd(frame), what=f"model {model.version}")
    frozen = frozen_model(model, golden=golden, digest=sha256)
    pds = frozen.predict_pd(frozen.features.transform(frame))
    golden.check(pds, what=f"what is derived from model {model.version}")
    write_serving_file(out, frozen)


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    path, sha256, out = arguments
    os.nice(_NICENESS)
    try:
        derive(Path(path), sha256=sha256, out=Path(out))
    except ArtifactError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
