"""The sections of a model card on how far its figures hold: stability, sensitivity, limits."""

from collections.abc import Sequence

from loan_default.evaluation import charts, formats
from loan_default.evaluation.card_blocks import Block, Chart, Note, Section, Table
from loan_default.evaluation.card_contents import ModelCard
from loan_default.evaluation.card_sections import share_with_range
from loan_default.evaluation.monotonicity import TOLERANCE, MonotonicSweep
from loan_default.evaluation.reject_section import sample_in_words
from loan_default.evaluation.statements import FEW_DEFAULTS, Tone


def stability(card: ModelCard) -> Section:
    """Score stability, and vintages where the data have time."""
    facts, vintages = card.evidence.stability, card.evidence.vintages
    moved = facts.psi > max(0.1, facts.critical)
    blocks: list[Block] = [
        Note(
            tone=Tone.CAUTION if moved else Tone.GOOD,
            text=f"Stability index of the scores {formats.number(facts.psi, 4)}, of {facts.rows:,} test rows "
            f"against {facts.reference_rows:,} validation rows; chance alone makes up to "
            f"{formats.number(facts.critical, 4)} of so many rows. From 0.10 on it is watched.",
        )
    ]
    if vintages:
        blocks.append(
            Table(
                caption="By cohort of applications. Each loan has one outcome and no date of default, so "
                "there is no curve by months on book.",
                columns=("Cohort", "Rows", "Defaults", "Default rate (95%)", "Tested", "Mean PD", "AUC"),
                rows=[
                    (
                        each.cohort,
                        formats.count(each.rows),
                        formats.count(each.bads),
                        share_with_range(each.bad_rate, each.low, each.high),
                        formats.count(each.tested),
                        formats.percent(each.mean_pd),
                        formats.number(each.auc, 3),
                    )
                    for each in vintages
                ],
                long=len(vintages) > 24,
            )
        )
    else:
        blocks.append(
            Note(tone=Tone.NOTE, text="The data have no time of the application: no vintages can be shown.")
        )
    return Section(
        anchor="stability",
        title="Stability and vintages",
        intro="Do the scores and the default rates hold from sample to sample and from month to month?",
        blocks=blocks,
    )


def sensitivity(card: ModelCard) -> Section:
    """What the model rests on."""
    shown = card.evidence.importance[:15]
    blocks: list[Block] = []
    if shown:
        blocks.append(
            Chart(
                title="Loss of AUC without a column",
                caption="The column's values are shuffled among the test rows, three times; the line is one "
                "standard deviation.",
                svg=charts.importance_chart(
                    [each.column for each in shown],
                    [each.auc_drop for each in shown],
                    [each.sd for each in shown],
                    label=f"Loss of AUC when a column is shuffled; largest {shown[0].column}.",
                ),
            )
        )
        blocks.append(
            Table(
                caption=f"The {len(shown)} columns that matter most.",
                columns=("Column", "Loss of AUC", "Standard deviation"),
                rows=[
                    (each.column, formats.number(each.auc_drop, 4), formats.number(each.sd, 4))
                    for each in shown
                ],
            )
        )
    blocks.append(_monotonic(card.evidence.monotonic))
    return Section(
        anchor="sensitivity",
        title="Sensitivity",
        intro="What does the model lose when it cannot use a column? Columns that say the same share it.",
        blocks=blocks,
    )


def _monotonic(sweeps: Sequence[MonotonicSweep]) -> Block:
    if not sweeps:
        return Note(tone=Tone.NOTE, text="The schema asks of no column that the PD rises or falls with it.")
    return Table(
        caption="Columns in which the PD must be monotonic: test rows get each value, from low to high. "
        f"A PD that moves the wrong way by more than {formats.percent(TOLERANCE)} counts.",
        columns=("Column", "PD must be", "Rows", "Rows that move the wrong way", "Furthest"),
        rows=[
            (
                each.column,
                each.direction,
                formats.count(each.rows),
                formats.percent(each.falling),
                formats.percent(each.largest),
            )
            for each in sweeps
        ],
    )


def limits(card: ModelCard) -> Section:
    """What the figures do not show."""
    evidence, data = card.evidence, card.evidence.data
    test = next(each for each in data.splits if each.name == "test")
    bads = round(test.rows * test.bad_rate)
    notes = [
        sample_in_words(evidence.rejects),
        "Each loan has one outcome; when it defaulted is not in the data.",
    ]
    if not data.out_of_time:
        notes.append(
            "The test rows are a random part of the data, so the figures are of the same time as the "
            "training. They do not show how the model ages."
        )
    if bads < FEW_DEFAULTS:
        notes.append(f"The test rows hold {bads} defaults; below {FEW_DEFAULTS} every metric is uncertain.")
    if data.near_copies:
        notes.append(f"{data.near_copies:,} rows have near-copies, which may flatter the metrics.")
    if data.warned_columns:
        notes.append(f"These columns may give the outcome away: {', '.join(data.warned_columns)}.")
    small = [
        f"{attribute.attribute} {group.group}"
        for attribute in evidence.fairness.attributes
        for group in attribute.groups
        if group.ratio is None
    ]
    if small:
        notes.append(f"Too few rows for a ratio of approval rates: {', '.join(small)}.")
    return Section(
        anchor="limits",
        title="Limitations",
        intro="What these figures do not show.",
        blocks=[Note(tone=Tone.NOTE, text=text) for text in notes],
    )
