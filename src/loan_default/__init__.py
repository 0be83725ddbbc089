"""Loan applications in, calibrated probabilities of default out.

    from loan_default import load_model, read_frame, validate

    model = load_model(Path("model.pth"))
    checked = validate(read_frame(Path("applications.csv")), model.schema, labelled=False)
    pds = model.predict_pd(checked.accepted)

Each name is imported from its module when it is first used: `import loan_default` by itself imports neither
torch nor pandas, and so the DAG files stay quick to parse.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loan_default.data.schema.frames import RawFrame, validate
    from loan_default.data.schema.language import Schema
    from loan_default.data.schema.schema_files import dump_schema, load_schema
    from loan_default.data.sources.table_files import infer_schema, read_frame
    from loan_default.errors import (
        ArtifactError,
        ConfigurationError,
        DataError,
        DependencyError,
        LoanDefaultError,
    )
    from loan_default.models.model import LoanModel, load_model
    from loan_default.pipelines.scoring.file_scoring import score_file

    __version__: str

__all__ = [
    "ArtifactError",
    "ConfigurationError",
    "DataError",
    "DependencyError",
    "LoanDefaultError",
    "LoanModel",
    "RawFrame",
    "Schema",
    "__version__",
    "dump_schema",
    "infer_schema",
    "load_model",
    "load_schema",
    "read_frame",
    "score_file",
    "validate",
]

_MODULES = {
    "ArtifactError": "errors",
    "ConfigurationError": "errors",
    "DataError": "errors",
    "DependencyError": "errors",
    "LoanDefaultError": "errors",
    "LoanModel": "models.model",
    "RawFrame": "data.schema.frames",
    "Schema": "data.schema.language",
    "dump_schema": "data.schema.schema_files",
    "infer_schema": "data.sources.table_files",
    "load_model": "models.model",
    "load_schema": "data.schema.schema_files",
    "read_frame": "data.sources.table_files",
    "score_file": "pipelines.scoring.file_scoring",
    "validate": "data.schema.frames",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("loan-default")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
