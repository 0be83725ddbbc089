"""The folder of a training run: what an earlier run left is deleted, or that run is resumed."""

import json
from datetime import UTC, datetime
from pathlib import Path

from loan_default.errors import ConfigurationError
from loan_default.files import write_once
from loan_default.pipelines.training.folder_lock import unwritable_folder
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.provenance import fingerprint_of_run

_RUN = Path("checkpoints", "run.json")


def open_folder(plan: TrainingPlan, out: Path) -> datetime:
    """Make the folder of a run, or find the one to resume; returns when the run began.

    A new run starts without what an earlier one left: checkpoints, models, the report. A run that goes on
    keeps its time, and so the version of its model. Temporary files of killed runs go in both cases.

    Raises:
        ConfigurationError: the folder cannot be written, or the run to go on with is another one.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable_folder(out, error) from error
    left = [*out.glob(".*.tmp"), *(out / "checkpoints").glob(".*.tmp")]
    if not plan.options.resume:
        left += [*(out / "checkpoints").glob("*.ckpt"), out / _RUN, out / "report.html"]
        left += [out / name for name in _model_files(plan)]
    for path in left:
        if not path.is_dir():  # the folder of a scoring that is running
            path.unlink(missing_ok=True)
    return _started_at(out / _RUN, fingerprint_of_run(plan))


def _model_files(plan: TrainingPlan) -> list[str]:
    """Names of what a run makes, but for the encoder that it starts from."""
    kinds = ("model.pth", "encoder.pth") if plan.options.encoder is None else ("model.pth",)
    return [f"{kind}{suffix}" for kind in kinds for suffix in ("", ".sha256")]


def _started_at(path: Path, fingerprint: str) -> datetime:
    if not path.exists():
        run = {"started_at": datetime.now(UTC).isoformat(), "fingerprint": fingerprint}
        write_once(path, json.dumps(run).encode())  # of two tries that begin at once, one says when
    run = json.loads(path.read_text())
    if run["fingerprint"] != fingerprint:
        raise ConfigurationError(
            f"a run must be resumed with the data and options it began with, however: {path.parent.parent} "
            "belongs to others. Repeat them, or leave --resume out to start anew."
        )
    return datetime.fromisoformat(run["started_at"])
