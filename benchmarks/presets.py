"""What each preset costs on the bundled data, as a newcomer runs it.

python -m benchmarks.presets                     # fast and default: some five minutes on two cores
python -m benchmarks.presets --presets best      # about a quarter of an hour on two cores
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loan_default.choices import PRESETS
from loan_default.models.model import load_model

PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the presets one after the other and print their time and test figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS))
    heads = ["preset", "seconds", "test AUC", "KS", "Brier", "log loss", "slope", "file MB"]
    print(f"| {' | '.join(heads)} |\n" + "|---" * len(heads) + "|", flush=True)
    for preset in parser.parse_args().presets:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "train.py",
                "--pretrain",
                "--train",
                "--preset",
                preset,
                "--out",
                folder,
            ]
            since = time.monotonic()
            subprocess.run(
                command, cwd=PROJECT, env=environment(Path(folder)), check=True, capture_output=True
            )
            seconds = time.monotonic() - since
            path = Path(folder) / "model.pth"
            test = load_model(path).metrics["test"]
            print(
                f"| {preset} | {seconds:.0f} | {test['auc']:.4f} | {test['ks']:.3f} | {test['brier']:.4f} | "
                f"{test['log_loss']:.4f} | {test['calibration_slope']:.2f} | "
                f"{path.stat().st_size / 1e6:.1f} |",
                flush=True,
            )


def environment(home: Path) -> dict[str, str]:
    """A process that keeps its models and its registry in a folder of its own, whatever is set up here."""
    ours = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    return ours | {"LOAN_DEFAULT_HOME": str(home)}


if __name__ == "__main__":
    main()
