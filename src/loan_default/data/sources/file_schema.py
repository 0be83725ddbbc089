"""The schema of a file that has none."""

from pathlib import Path

from loan_default.data.schema.inference.infer import Inference, infer_frame_schema
from loan_default.data.sources.table_files import read_frame, stem_of


def infer_schema(path: Path, *, target: str | None) -> Inference:
    """Read a file and infer its schema, as `infer_frame_schema` does.

    Raises:
        DataError: the file cannot be read, or gives no schema.
    """
    return infer_frame_schema(read_frame(path), name=stem_of(path), source=path.name, target=target)
