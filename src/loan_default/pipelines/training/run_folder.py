"""The folder of a training run: a new run begins beside the former results, or an earlier run is resumed.

A new run deletes the former checkpoints. The former model and encoder stay where they are until the new
files are renamed over them: a run that fails costs nobody a good model. The former report is renamed at once,
so that a report of the usual name is always that of the run whose record lies in the folder.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from loan_default.errors import ConfigurationError
from loan_default.files import write_once
from loan_default.pipelines.training.folder_lock import unwritable_folder
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.provenance import fingerprint_of_run

REPORT = "report.html"
FORMER_REPORT = "former-report.html"
"""The report of the former model, until the run has written its own."""

_RUN = Path("checkpoints", "run.json")


def open_folder(plan: TrainingPlan, out: Path) -> datetime:
    """Make the folder of a run, or find the one to resume; returns when the run began.

    A run that goes on keeps its time, and so the version of its model. Where the options ask for that and
    there is no run to go on with, a new one begins. Temporary files of killed runs go in every case.

    Raises:
        ConfigurationError: the folder cannot be written, or the run to go on with is another one.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable_folder(out, error) from error
    if not (plan.options.resume and has_run(out)) and (out / REPORT).exists():
        (out / REPORT).replace(out / FORMER_REPORT)
    left = [*out.glob(".*.tmp"), *(out / "checkpoints").glob(".*.tmp")]
    if not plan.options.resume:
        left += [*(out / "checkpoints").glob("*.ckpt"), out / _RUN]
    for path in left:
        if not path.is_dir():  # the folder of a scoring that is running
            path.unlink(missing_ok=True)
    return _started_at(out / _RUN, fingerprint_of_run(plan))


def has_run(out: Path) -> bool:
    """Whether a folder holds a run to go on with."""
    return (out / _RUN).exists()


def drop_former_report(out: Path) -> None:
    """Delete the report of the former model, once a run has written its own."""
    (out / FORMER_REPORT).unlink(missing_ok=True)


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
