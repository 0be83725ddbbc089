"""Rows a second of training and scoring beside FT-Transformer, and memory of scoring files.

    python -m benchmarks.speed            # a few minutes; best on an idle machine

Both networks have the same width and depth and see the same rows of the bundled set on one thread. The peer
is rtdl_revisiting_models.FTTransformer as its authors set it (8 heads, dropouts) and once more with our two
heads. `ours, plain head` is the like-for-like comparison: encoder, [CLS], one layer, one output. `ours` is
what the default preset trains, eight predictors in its head.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from rtdl_revisiting_models import FTTransformer
from torch import Tensor, nn

from benchmarks.credit_sets import load
from benchmarks.presets import PROJECT, environment
from loan_default.bundled import BUNDLED_DATA
from loan_default.models.classifier import Classifier, HeadConfig
from loan_default.models.encoder import Encoder, EncoderConfig
from loan_default.models.features import Features, fit_features
from loan_default.models.presets import preset_for

BATCH, SCORING_BATCH, LAYERS = 512, 2_048, 6


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all networks; the best one counts")
    parser.add_argument("--memory-only", action="store_true")
    options = parser.parse_args()
    if not options.memory_only:
        print(speed_table(options.widths, rounds=options.rounds))
    print(memory_table())


def speed_table(widths: list[int], *, rounds: int) -> str:
    """Markdown: rows a second and the ratio to the peer."""
    torch.set_num_threads(1)
    data = load("uci_credit_card")
    features = fit_features(data.frame.iloc[data.train], data.schema)
    inputs = features.transform(data.frame.iloc[data.train])
    numerical, codes = torch.from_numpy(inputs.numerical), torch.from_numpy(inputs.codes)
    labels = torch.from_numpy(data.y[data.train])
    lines = [
        "| width | network | training rows/s | ratio | scoring rows/s | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for width in widths:
        networks = _networks(features, width)
        training = _best(networks, rounds, lambda net: _train_rate(net, numerical, codes, labels))
        scoring = _best(networks, rounds, lambda net: _score_rate(net, numerical, codes))
        peer = next(iter(networks))
        lines += [
            f"| {width} | {name} | {training[name]:,.0f} | {training[name] / training[peer]:.2f} | "
            f"{scoring[name]:,.0f} | {scoring[name] / scoring[peer]:.2f} |"
            for name in networks
        ]
    return "\n".join(lines)


def _networks(features: Features, width: int) -> dict[str, nn.Module]:
    def peer(heads: int) -> nn.Module:
        return _Peer(
            FTTransformer(
                n_cont_features=len(features.numerical),
                cat_cardinalities=features.cardinalities,
                d_out=1,
                n_blocks=LAYERS,
                d_block=width,
                attention_n_heads=heads,
                attention_dropout=0.2,
                ffn_d_hidden_multiplier=4 / 3,
                ffn_dropout=0.1,
                residual_dropout=0.0,
            )
        )

    config = EncoderConfig(n_layers=LAYERS, width=width)

    def encoder() -> Encoder:
        return Encoder(features.edges, features.cardinalities, config)

    return {
        "FT-Transformer": peer(8),
        "FT-Transformer, 2 heads": peer(2),
        "ours, plain head": Classifier(
            encoder(), HeadConfig(reads="cls", predictors=1, hidden=width, n_layers=1)
        ),
        "ours": Classifier(encoder(), preset_for("default", rows=20_000).head),
    }


class _Peer(nn.Module):
    def __init__(self, network: FTTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, numerical: Tensor, codes: Tensor) -> Tensor:
        logits: Tensor = self.network(numerical, codes)
        return logits


def _best(
    networks: dict[str, nn.Module], rounds: int, rate: Callable[[nn.Module], float]
) -> dict[str, float]:
    """Rounds over all networks, so that what else the machine does hits them alike."""
    best = dict.fromkeys(networks, 0.0)
    for _ in range(rounds):
        for name, network in networks.items():
            best[name] = max(best[name], rate(network))
    return best


def _train_rate(network: nn.Module, numerical: Tensor, codes: Tensor, labels: Tensor) -> float:
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
    network.train()
    since = time.perf_counter()
    for start in range(0, 4 * BATCH, BATCH):
        rows = slice(start, start + BATCH)
        logits = network(numerical[rows], codes[rows])
        loss = F.binary_cross_entropy_with_logits(logits, labels[rows][:, None].expand_as(logits))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch declares no types for it
        optimizer.step()
    return 4 * BATCH / (time.perf_counter() - since)


def _score_rate(network: nn.Module, numerical: Tensor, codes: Tensor) -> float:
    network.eval()
    since = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, 4 * SCORING_BATCH, SCORING_BATCH):
            network(numerical[start : start + SCORING_BATCH], codes[start : start + SCORING_BATCH])
    return 4 * SCORING_BATCH / (time.perf_counter() - since)


def memory_table() -> str:
    """Markdown: peak memory and speed of `loan-default score`, start-up included, by rows of the file."""
    lines = ["| rows scored | peak memory MB | rows/s, start-up included |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        command = [
            sys.executable,
            "train.py",
            "--train",
            "--preset",
            "fast",
            "--epochs",
            "1",
            "--out",
            folder,
        ]
        subprocess.run(command, cwd=PROJECT, env=_environment(home), check=True, capture_output=True)
        rows = pd.read_csv(BUNDLED_DATA)
        for count in (10_000, 100_000, 1_000_000):
            file = home / f"{count}.csv"
            repeats = -(-count // len(rows))
            pd.concat([rows] * repeats).iloc[:count].to_csv(file, index=False)
            since = time.perf_counter()
            peak = _peak_of_scoring(home, file, rows=count)
            lines.append(f"| {count:,} | {peak:,.0f} | {count / (time.perf_counter() - since):,.0f} |")
    return "\n".join(lines)


def _peak_of_scoring(home: Path, file: Path, *, rows: int) -> float:
    """MB that one process took at most to score all rows of a file."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    scores = file.with_suffix(".scores.csv")
    entry = "from loan_default.cli.main import main; main()"
    score = [sys.executable, "-c", entry, "score", "--model", str(home / "model.pth")]
    score += ["--data", str(file), "--out", str(scores)]
    done = subprocess.run(
        [sys.executable, "-c", code, *score],
        cwd=PROJECT,
        env=_environment(home),
        check=True,
        capture_output=True,
    )
    with scores.open() as lines:
        scored = sum(1 for _ in lines) - 1
    if scored != rows:
        raise RuntimeError(f"every row must be scored, however: {scored} of {rows}")
    return int(done.stdout) / 1024


def _environment(home: Path) -> dict[str, str]:
    return environment(home) | {"OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
