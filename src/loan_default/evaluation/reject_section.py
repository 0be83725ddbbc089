"""Rejected applications in words, for the report of a training and for a model card."""

from collections.abc import Sequence

from loan_default.evaluation import formats
from loan_default.evaluation.card_blocks import Block, Note, Section, Table, Text
from loan_default.evaluation.reject_metrics import RejectFacts, RejectMetric
from loan_default.evaluation.statements import Tone

_NAMES = {"auc": "AUC", "ks": "KS", "brier": "Brier score", "log_loss": "Log loss"}
_HIGHER_IS_BETTER = ("auc", "ks")


def rejected_applications(facts: RejectFacts | None) -> Section:
    """What the sample is, what was inferred, under which assumption, and what the metrics are.

    Args:
        facts: None = the data name no rejected applications.
    """
    return Section(
        anchor="rejects",
        title="Rejected applications",
        intro=sample_in_words(facts),
        blocks=_blocks(facts) if facts is not None else [],
    )


def sample_in_words(facts: RejectFacts | None) -> str:
    """What the sample of a training is, in a few sentences."""
    if facts is None:
        return (
            "The sample is of applications that the lender has accepted and whose outcome is known. The data "
            "name no rejected ones (the training store never does), and none was inferred: PDs of applicants "
            "unlike those who were granted a loan are extrapolated."
        )
    if facts.method == "none":
        return (
            "The sample is of applications that the lender has accepted and whose outcome is known. The data "
            f"also name {facts.rows:,} rejected ones; nobody knows what would have become of them, and none "
            "was inferred: PDs of applicants like them are extrapolated."
        )
    return (
        "The sample is of applications that the lender has accepted and whose outcome is known, and of "
        f"{facts.rows:,} rejected ones whose outcome is not. Theirs were inferred by {_method(facts)}: the "
        "model has learned from outcomes that nobody has observed."
    )


def assumption(facts: RejectFacts) -> str:
    """What the method assumes, in a sentence; "" = nothing was inferred."""
    if facts.method == "fuzzy":
        return "It assumes that rejected applicants default as the model of the accepted says."
    if facts.method == "parcelling":
        factor = formats.plain(facts.factor)
        return (
            f"It assumes that rejected applicants default {factor} times as often as accepted ones of the "
            "same band of PD."
        )
    return ""


def _method(facts: RejectFacts) -> str:
    if facts.method == "fuzzy":
        return "fuzzy augmentation"
    return f"parcelling with the factor {formats.plain(facts.factor)}"


def _blocks(facts: RejectFacts) -> Sequence[Block]:
    gap = Text(
        text=f"The model that learned from accepted applications alone gives the rejected ones a mean PD of "
        f"{formats.percent(facts.mean_pd)}, and the accepted test rows one of "
        f"{formats.percent(facts.accepted_mean_pd)}."
    )
    if facts.method == "none":
        return [gap]
    doubts = ""
    if facts.beyond:
        doubts += f" {facts.beyond:,} of them have a higher PD than every accepted row: none is like them."
    if facts.inferred_rate is not None and facts.inferred_rate < facts.mean_pd:
        doubts += (
            " That is less than the model of accepted applications gives them: most lie in the bands of the "
            "highest PDs, where hardly an accepted row is as risky as they are. A higher factor, or fuzzy "
            "augmentation, assumes more."
        )
    return [
        gap,
        Note(
            tone=Tone.CAUTION,
            text=f"{assumption(facts)} No row of the data can confirm it. It makes "
            f"{formats.percent(facts.inferred_rate)} of the rejected applications default.{doubts}",
        ),
        Table(
            caption="Bands of PD by the model of accepted applications, and the default rate that is assumed "
            "of rejected ones.",
            columns=("PD", "Accepted", "Default rate", "Rejected", "Assumed default rate"),
            rows=[
                (
                    f"{formats.percent(each.low)} to {formats.percent(each.high)}",
                    formats.count(each.accepted),
                    formats.percent(each.default_rate),
                    formats.count(each.rejects),
                    formats.percent(each.inferred_rate),
                )
                for each in facts.bands
            ],
        ),
        Table(
            caption="On accepted test rows, whose outcomes are known: the model of accepted applications "
            "alone beside the one that learned from rejected ones as well.",
            columns=("Metric", "Accepted only", "With rejects", "Difference", "95% interval"),
            rows=[
                (
                    _NAMES[each.name],
                    formats.number(each.accepted_only, 4),
                    formats.number(each.augmented, 4),
                    formats.signed(each.difference, 4),
                    f"{formats.signed(each.low, 4)} to {formats.signed(each.high, 4)}",
                )
                for each in facts.metrics
            ],
        ),
        _verdict(facts.metrics),
        Table(
            caption=f"On all: the accepted test rows and {facts.held_out:,} rejected applications that no "
            "measured model learned from, with inferred outcomes. These figures rest on the assumption.",
            columns=("Metric", "Accepted only", "With rejects"),
            rows=[
                (
                    _NAMES[each.name],
                    formats.number(each.accepted_only_on_all, 4),
                    formats.number(each.augmented_on_all, 4),
                )
                for each in facts.metrics
            ],
        ),
        Note(
            tone=Tone.NOTE,
            text="The outcomes of rejected applications in the last table were made by the assumption, from "
            "the PDs of the model of accepted applications. They cannot show which of the two models is the "
            "better one.",
        ),
    ]


def _verdict(metrics: Sequence[RejectMetric]) -> Note:
    """What the comparison on accepted rows shows: better or worse where the interval excludes 0 only."""
    better: list[str] = []
    worse: list[str] = []
    for each in metrics:
        if each.low <= 0 <= each.high:
            continue
        is_better = (each.difference > 0) == (each.name in _HIGHER_IS_BETTER)
        (better if is_better else worse).append(_NAMES[each.name])
    parts = [f"better in {', '.join(better)}"] if better else []
    parts += [f"worse in {', '.join(worse)}"] if worse else []
    if not parts:
        text = (
            "On accepted applications no difference is shown: all intervals hold 0. Learning from rejects is "
            "no improvement that these rows could show."
        )
        return Note(tone=Tone.NOTE, text=text)
    return Note(
        tone=Tone.CAUTION if worse else Tone.NOTE,
        text=f"On accepted applications the model with rejects is {' and '.join(parts)}. It says nothing of "
        "rejected ones.",
    )
