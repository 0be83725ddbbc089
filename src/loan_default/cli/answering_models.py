"""Which models answer: the champion and whoever follows it, or the one that `--model` names."""

from pathlib import Path
from typing import TYPE_CHECKING

from loan_default.addresses import looks_like_address

if TYPE_CHECKING:
    from loan_default.database.connect import Database
    from loan_default.serving.wanted_models import Source
    from loan_default.settings import Settings


def models_to_answer(settings: "Settings", database: "Database", model: str | None) -> "Source":
    """The models that answer.

    Args:
        model: a .pth file, or a version in the registry; None = the champion, or the newest.

    Raises:
        DataError: no registered model has the version.
    """
    from loan_default.pipelines.registry import find_model
    from loan_default.serving.wanted_models import one_file, one_registered_model, registered_models

    if model is None:
        return registered_models(database, settings.home)
    if not looks_like_address(model) and (model.endswith(".pth") or Path(model).is_file()):
        return one_file(Path(model), sha256=None)
    return one_registered_model(find_model(database, model).model, settings.home)
