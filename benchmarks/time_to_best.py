"""Seconds of training until the best validation AUC: one net of ours beside TabM and CatBoost.

    python -m benchmarks.time_to_best                       # three sets, one seed: half an hour
    python -m benchmarks.time_to_best --sets hmeq --seeds 3

All learn from the training rows and are scored on the validation rows after each pass, or round, on one
thread; they stop by themselves. Ours is a member of the default preset from random weights. TabM has its
authors' defaults (32 submodels, piecewise-linear embeddings of 48 bins, AdamW at 2e-3, batches of 256,
patience of 16 passes) and sees the same transformed columns. CatBoost has its defaults at a learning rate of
.05 and stops after 50 rounds in vain. Seconds are those of the processor, so that other processes on the
machine do not count. The last column says when a model first reached the lowest of the three best AUCs.
"""

import argparse
import time
from dataclasses import dataclass
from typing import Any

import catboost as cb
import numpy as np
import rtdl_num_embeddings
import tabm
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from benchmarks.boosters import PATIENCE
from benchmarks.credit_sets import SETS, CreditSet, available, load
from benchmarks.ours import CPU, setup
from loan_default.evaluation.metrics import auc
from loan_default.models.features import Inputs
from loan_default.models.fitting import Progress
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture, MemberJob, train_members

_TABM_BINS, _TABM_RATE, _TABM_DECAY, _TABM_BATCH, _TABM_PATIENCE = 48, 2e-3, 3e-4, 256, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """A validation AUC and the seconds of the processor that had been spent by then."""

    seconds: float
    auc: float


Curve = list[Reached]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["hmeq", "uci_credit_card", "credit_risk"])
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| set | seed | model | best AUC | seconds to it | seconds to the lowest best |")
    print("|---|---|---|---|---|---|")
    for name in options.sets:
        if name not in available():
            continue
        data = load(name)
        for seed in range(options.seeds):
            curves = {
                "ours, one net": curve_of_ours(data, seed=seed),
                "TabM": curve_of_tabm(data, seed=seed),
                "CatBoost": curve_of_catboost(data, seed=seed),
            }
            common = min(best_of(curve).auc for curve in curves.values())
            for model, curve in curves.items():
                best, first = best_of(curve), next(each for each in curve if each.auc >= common)
                row = f"{model} | {best.auc:.4f} | {best.seconds:.1f} | {first.seconds:.1f}"
                print(f"| {name} | {seed} | {row} |", flush=True)


def best_of(curve: Curve) -> Reached:
    """The first of the highest AUCs."""
    return max(curve, key=lambda reached: reached.auc)


def curve_of_ours(data: CreditSet, *, seed: int) -> Curve:
    """A member of the default preset, from random weights."""
    features, preset = setup(data, rows=len(data.train))
    learned, scored = np.arange(len(data.train)), len(data.train) + np.arange(len(data.validation))
    known = np.concatenate([data.train, data.validation])
    curve: Curve = []
    since = time.process_time()

    def record(progress: Progress) -> None:
        if progress.last is not None and progress.last.score is not None:
            curve.append(Reached(seconds=time.process_time() - since, auc=progress.last.score))

    train_members(
        Architecture(features=features, encoder=preset.encoder, head=preset.head),
        Labelled(inputs=features.transform(data.frame.iloc[known]), labels=data.y[known]),
        jobs=[
            MemberJob(number=1, seed=seed, fingerprint="", checkpoint=None, learned=learned, scored=scored)
        ],
        config=preset.training,
        encoder_state=None,
        device=CPU,
        processes=1,
        resume=False,
        on_progress=record,
    )
    return curve


def curve_of_tabm(data: CreditSet, *, seed: int) -> Curve:
    """TabM at its authors' defaults on the columns as our features transform them."""
    features, _ = setup(data, rows=len(data.train))
    train, validation = (features.transform(data.frame.iloc[rows]) for rows in (data.train, data.validation))
    labels = torch.from_numpy(data.y[data.train])
    torch.manual_seed(seed)
    since = time.process_time()
    numbers, codes = _tensors(train)
    embedded = None
    if numbers is not None:
        bins = rtdl_num_embeddings.compute_bins(numbers, n_bins=_TABM_BINS)
        embedded = rtdl_num_embeddings.PiecewiseLinearEmbeddings(
            bins, d_embedding=16, activation=False, version="B"
        )
    model = tabm.TabM.make(
        n_num_features=0 if numbers is None else numbers.shape[1],
        cat_cardinalities=features.cardinalities or None,
        d_out=1,
        num_embeddings=embedded,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=_TABM_RATE, weight_decay=_TABM_DECAY)
    curve: Curve = []
    best = 0
    while len(curve) - best <= _TABM_PATIENCE:
        model.train()
        for rows in torch.split(torch.randperm(len(labels)), _TABM_BATCH):
            logits = model(*_rows(numbers, codes, rows)).squeeze(-1)  # (batch, k)
            loss = F.binary_cross_entropy_with_logits(logits, labels[rows][:, None].expand_as(logits))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch declares no types for it
            optimizer.step()
        pds = _tabm_pds(model, validation)
        curve.append(
            Reached(seconds=time.process_time() - since, auc=auc(data.y[data.validation], pds) or 0.0)
        )
        best = max(range(len(curve)), key=lambda index: curve[index].auc)
    return curve


def curve_of_catboost(data: CreditSet, *, seed: int) -> Curve:
    """CatBoost at its defaults and a learning rate of .05."""
    frame = data.frame.fillna(dict.fromkeys(data.categories, ""))  # it takes no missing category
    curve: Curve = []
    model = cb.CatBoostClassifier(
        iterations=3_000,
        learning_rate=0.05,
        eval_metric="AUC",
        random_seed=seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        cat_features=data.categories,
    )
    since = time.process_time()

    class Recorder:
        def after_iteration(self, info: Any) -> bool:
            reached = info.metrics["validation"]["AUC"][-1]
            curve.append(Reached(seconds=time.process_time() - since, auc=float(reached)))
            return len(curve) - max(range(len(curve)), key=lambda index: curve[index].auc) <= PATIENCE

    held_out = (frame.iloc[data.validation], data.y[data.validation])
    model.fit(frame.iloc[data.train], data.y[data.train], eval_set=held_out, callbacks=[Recorder()])
    return curve


def _tensors(inputs: Inputs) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Numbers with the median for missing, which is 0 in normal units, and codes; None = no such columns."""
    numbers = torch.from_numpy(np.nan_to_num(inputs.numerical)) if inputs.numerical.shape[1] else None
    codes = torch.from_numpy(inputs.codes) if inputs.codes.shape[1] else None
    return numbers, codes


def _rows(
    numbers: torch.Tensor | None, codes: torch.Tensor | None, rows: torch.Tensor
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    return None if numbers is None else numbers[rows], None if codes is None else codes[rows]


@torch.no_grad()
def _tabm_pds(model: torch.nn.Module, inputs: Inputs) -> NDArray[np.float64]:
    model.eval()
    numbers, codes = _tensors(inputs)
    parts = [
        model(*_rows(numbers, codes, rows)).squeeze(-1).sigmoid().mean(1)
        for rows in torch.split(torch.arange(len(inputs)), 4_096)
    ]
    return torch.cat(parts).numpy().astype(np.float64)


if __name__ == "__main__":
    main()
