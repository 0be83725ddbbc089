"""What the metrics of a test split say, as plain sentences that are computed from the metrics."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from loan_default.evaluation.bootstrap import Interval
from loan_default.evaluation.formats import metric
from loan_default.evaluation.metrics import STEEPEST_SLOPE, Metrics
from loan_default.evaluation.report_inputs import NearCopies

FEW_DEFAULTS = 100
"""With fewer defaults on the test split its metrics are too uncertain to evaluate a model by."""

WIDEST = 1.0
"""Widest interval of a calibration slope or intercept that still tells something. A wider one holds, beside
the ideal value, a slope of 0.5 or 1.5, or odds that are wrong by a factor of 1.6."""


TOO_GOOD = 0.98
"""A higher AUC is not called good: it suggests a leak, or twins of the test rows."""


class Tone(StrEnum):
    """How a statement is marked; the word is what the reader sees."""

    GOOD = "good"
    """The metric is as it should be."""
    CAUTION = "caution"
    """A person should look at it before the model is used."""
    NOTE = "note"
    """It is worth knowing, and neither good nor bad."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One computed sentence with its tone."""

    tone: Tone
    title: str
    text: str


def ranking(
    auc: Interval, *, rows: int, defaults: int, alone: Mapping[str, float] | None = None
) -> Statement:
    """Whether the model ranks better than chance, and on how many defaults that rests.

    Args:
        alone: column -> AUC of the column alone, the highest first; None = not known.
    """
    base = f"AUC {_with_range(auc)} on {rows:,} rows with {defaults:,} defaults."
    if auc.low <= 0.5:
        return Statement(
            tone=Tone.CAUTION,
            title="Not shown to rank at all.",
            text=f"{base} The interval holds 0.5, which is what chance reaches.",
        )
    if auc.value > TOO_GOOD:
        strongest = ", ".join(f"{column} {value:.3f}" for column, value in list((alone or {}).items())[:3])
        shown = f" Strongest alone, by AUC on the training rows: {strongest}." if strongest else ""
        return Statement(
            tone=Tone.CAUTION,
            title="Too good to be believed before it is explained.",
            text=f"{base} No honest model of applications ranks so well: a column may be known only after "
            f"the outcome, or rows of the test may have twins among the training rows.{shown}",
        )
    if min(defaults, rows - defaults) < FEW_DEFAULTS:
        return Statement(
            tone=Tone.CAUTION,
            title="Ranks better than chance, on little evidence.",
            text=f"{base} A class with fewer than {FEW_DEFAULTS} rows leaves every metric uncertain.",
        )
    return Statement(tone=Tone.GOOD, title="Ranks better than chance.", text=base)


def in_doubt(statement: Statement) -> Statement:
    """A statement on a model that is too good to be believed: nothing about it is called good."""
    return replace(statement, tone=Tone.NOTE) if statement.tone is Tone.GOOD else statement


def against_baseline(difference: Interval) -> Statement:
    """Whether the paired difference in AUC to logistic regression is more than luck."""
    base = f"Difference in AUC on the same rows: {_with_range(difference, sign=True)}."
    if difference.low > 0:
        return Statement(tone=Tone.GOOD, title="Better than logistic regression.", text=base)
    if difference.high < 0:
        return Statement(
            tone=Tone.CAUTION,
            title="Worse than logistic regression.",
            text=f"{base} The simpler model should be preferred.",
        )
    return Statement(
        tone=Tone.NOTE,
        title="Not shown to differ from logistic regression.",
        text=f"{base} The interval holds 0, so the difference may be luck.",
    )


def calibration(slope: Interval, intercept: Interval, *, predicted: float, observed: float) -> Statement:
    """Whether a PD means what it says: the slope should be 1 and the intercept 0."""
    base = (
        f"Mean PD {predicted:.1%}, observed default rate {observed:.1%}; "
        f"slope {_slope_with_range(slope)}, intercept {_with_range(intercept, sign=True)}."
    )
    if abs(slope.value) >= STEEPEST_SLOPE:
        return Statement(
            tone=Tone.CAUTION,
            title="Calibration cannot be determined: the PDs separate the classes.",
            text=f"{base} No slope fits where every default has a higher PD than every other row.",
        )
    faults = []
    if slope.high < 1:
        faults.append("high PDs are too high and low PDs too low")
    if slope.low > 1:
        faults.append("PDs are too close together")
    if intercept.low > 0:
        faults.append("PDs are too low on average")
    if intercept.high < 0:
        faults.append("PDs are too high on average")
    if faults:
        return Statement(tone=Tone.CAUTION, title=f"Not calibrated: {' and '.join(faults)}.", text=base)
    if max(slope.high - slope.low, intercept.high - intercept.low) > WIDEST:
        return Statement(
            tone=Tone.CAUTION,
            title="Calibration cannot be determined.",
            text=f"{base} The intervals hold their ideal values, 1 and 0, and values far from them as well. "
            "More test rows make them narrower.",
        )
    return Statement(
        tone=Tone.GOOD,
        title="Calibrated.",
        text=f"{base} Both intervals hold their ideal values, 1 and 0.",
    )


def calibration_step(before: float, after: float) -> Statement:
    """What the calibration did to the log loss on the test split; the same loss = there was none."""
    if math.isclose(after, before, rel_tol=1e-9):  # no step leaves PDs the same but for their last digit
        return Statement(
            tone=Tone.NOTE,
            title="No calibration step was made.",
            text="No form of it had a lower log loss beyond chance on rows unseen by the model. "
            f"Log loss on the test split {after:.4f}.",
        )
    base = f"Log loss on the test split {before:.4f} before, {after:.4f} after."
    if after < before:
        return Statement(tone=Tone.GOOD, title="The calibration step helped.", text=base)
    return Statement(
        tone=Tone.NOTE,
        title="The calibration step did not help here.",
        text=f"{base} It was fitted on other rows; a small loss means that the model needed none.",
    )


def rank_order(rates: Sequence[float]) -> Statement:
    """Whether the observed default rate falls from each group of PDs to the next, riskiest first."""
    if len(rates) < 2:
        return Statement(
            tone=Tone.NOTE, title="No rank order to check.", text="All PDs are alike, in one group."
        )
    breaks = [index for index in range(1, len(rates)) if rates[index] > rates[index - 1]]
    if not breaks:
        return Statement(
            tone=Tone.GOOD,
            title="Rank order holds.",
            text=f"The default rate falls from {rates[0]:.1%} in the riskiest of {len(rates)} groups "
            f"to {rates[-1]:.1%} in the safest, without a break.",
        )
    where = ", ".join(f"{index} and {index + 1}" for index in breaks)
    return Statement(
        tone=Tone.NOTE if len(breaks) == 1 else Tone.CAUTION,
        title=f"Rank order breaks {'once' if len(breaks) == 1 else f'{len(breaks)} times'}.",
        text=f"The default rate rises between the groups {where} of {len(rates)}, riskiest first.",
    )


def near_copies(found: NearCopies, *, metrics: Metrics) -> Statement:
    """What near-copies among the rows do to the metrics of a run.

    Args:
        metrics: of all test rows.
    """
    base = (
        f"{found.rows:,} rows ({found.share:.1%} of the different ones) have a near-copy; "
        f"{found.agreement:.1%} of the pairs have one outcome, of ordinary neighbours {found.ordinary:.1%}."
    )
    boosted = (
        f"A boosted model reaches an AUC of {found.auc_straddling:.3f} where copies are separated at random, "
        f"and of {found.auc_apart:.3f} where they are kept together."
    )
    if not found.tested:
        return Statement(
            tone=Tone.NOTE,
            title="Some rows have near-copies, but no test row has one among those that were learned from.",
            text=f"{base} {boosted}",
        )
    others = ""
    if found.without is not None:
        auc, ks, brier = found.without
        others = (
            f" Without them AUC is {auc:.3f} instead of {metrics.auc:.3f}, KS {ks:.3f} instead of "
            f"{metrics.ks:.3f}, the Brier score {brier:.4f} instead of {metrics.brier:.4f}."
        )
    return Statement(
        tone=Tone.CAUTION,
        title="Test rows have near-copies among the rows that were learned from.",
        text=f"{base} {found.tested:,} test rows have one there.{others} {boosted}",
    )


def accounting(*, read: int, accepted: int, duplicates: int, quarantined: int) -> Statement:
    """Whether every row that was read is accounted for."""
    total = f"{accepted:,} accepted + {quarantined:,} quarantined + {duplicates:,} duplicates"
    if read == accepted + quarantined + duplicates:
        return Statement(
            tone=Tone.GOOD, title="Every row is accounted for.", text=f"{read:,} read = {total}."
        )
    return Statement(
        tone=Tone.CAUTION, title="Rows are unaccounted for.", text=f"{read:,} read, but {total}."
    )


def headline(auc: float, *, rows: int, predicted: float, observed: float) -> str:
    """The key metrics in one sentence for someone who has never heard of an AUC."""
    return (
        f"Given one applicant who will default and one who will not, the model gives the higher PD to the "
        f"right one {100 * auc:.0f} times out of 100; on {rows:,} applications that it had never seen it "
        f"expected {predicted:.1%} to default, and {observed:.1%} did."
    )


def _slope_with_range(slope: Interval) -> str:
    value, low, high = (metric(each, "calibration_slope") for each in (slope.value, slope.low, slope.high))
    return f"{value} ({low} to {high})"


def _with_range(interval: Interval, *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    text = f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"
    return text.replace("-", "\N{MINUS SIGN}")
