"""The sections of a model card about its use: money, fairness, monitoring, decisions, changes, provenance."""

from loan_default.evaluation import charts, formats
from loan_default.evaluation.card_blocks import Block, Chart, Note, Section, Table, Text
from loan_default.evaluation.card_contents import DecisionFacts, ModelCard
from loan_default.evaluation.card_sections import share_with_range
from loan_default.evaluation.decision_costs import CutoffOutcome
from loan_default.evaluation.fairness import AttributeFairness
from loan_default.evaluation.statements import Tone
from loan_default.evaluation.training_evidence import FairnessFacts


def money(card: ModelCard) -> Section:
    """The cut-off by cost, what it means, and the bands of score points."""
    facts = card.evidence.money
    choice, both = facts.choice, (facts.operating, facts.outcome)
    used = facts.operating
    unit = f"of the exposure in {facts.exposure_column}" if facts.exposure_column else "of one unit a loan"
    return Section(
        anchor="money",
        title="Cut-off and expected loss",
        intro=(
            f"A default loses {formats.percent(facts.loss_given_default)} {unit}, a loan without default "
            f"earns {formats.percent(facts.margin)}. Expected loss is PD times LGD times exposure."
        ),
        blocks=[
            Text(
                text=(
                    f"Of all cut-offs, a PD of {formats.percent(choice.cutoff)} "
                    f"({formats.number(choice.points, 0)} points) earns most on the {choice.rows:,} "
                    f"validation rows; a loan breaks even at {formats.percent(choice.break_even)}."
                )
            ),
            Table(
                caption="What both cut-offs mean on the test rows, which chose neither.",
                columns=("What", "In use", "By cost"),
                rows=[
                    ("Cut-off", *(formats.percent(each.cutoff) for each in both)),
                    ("Approval rate", *(formats.percent(each.approval_rate) for each in both)),
                    ("Default rate of approved loans (95%)", *(_bad_rate(each) for each in both)),
                    (
                        "Expected loss, of all exposure",
                        *(formats.percent(each.expected_loss) for each in both),
                    ),
                    (
                        "Realised loss, of all exposure",
                        *(formats.percent(each.realised_loss) for each in both),
                    ),
                    ("Profit, of all exposure", *(formats.percent(each.profit) for each in both)),
                ],
            ),
            Chart(
                title="Approvals and defaults",
                caption="Default rate of the approved loans by approval rate; the dot is the cut-off in use.",
                svg=charts.approval_chart(
                    [each.approval_rate for each in facts.curve],
                    [each.bad_rate or 0.0 for each in facts.curve],
                    at=(used.approval_rate, used.bad_rate or 0.0),
                    label=f"Default rate by approval rate; {used.approval_rate:.1%} are approved.",
                ),
            ),
            Table(
                caption="Score bands on the test rows; 20 points more double the odds.",
                columns=("Points", "Rows", "Defaults", "Mean PD", "Default rate (95%)"),
                rows=[
                    (
                        f"{each.lowest} to {each.highest - 1}",
                        formats.count(each.rows),
                        formats.count(each.bads),
                        formats.percent(each.mean_pd),
                        share_with_range(each.bad_rate, each.low, each.high),
                    )
                    for each in facts.bands
                ],
            ),
        ],
    )


def _bad_rate(outcome: CutoffOutcome) -> str:
    if outcome.bad_rate is None:
        return "nobody is approved"
    return share_with_range(outcome.bad_rate, outcome.low, outcome.high)


def fairness(card: ModelCard) -> Section:
    """Approval rates and errors by group."""
    facts = card.evidence.fairness
    blocks: list[Block] = []
    for attribute in facts.attributes:
        blocks += _attribute(attribute, facts)
    if not facts.attributes:
        blocks.append(
            Note(
                tone=Tone.NOTE,
                text="No group is compared: the schema declares no protected column, or the policy "
                f"profile {card.evidence.policy} turns the comparison off.",
            )
        )
    if facts.alternatives:
        blocks.append(
            Table(
                caption="Alternatives: other cut-offs and a plainer model. The lowest ratio is that of all "
                "groups above; profit is of one unit a loan.",
                columns=("Model", "Cut-off", "Approval rate", "AUC", "Lowest ratio", "Profit"),
                rows=[
                    (
                        each.model,
                        formats.percent(each.cutoff),
                        formats.percent(each.approval_rate),
                        formats.number(each.auc, 3),
                        formats.number(each.lowest_ratio, 3),
                        formats.percent(each.profit),
                    )
                    for each in facts.alternatives
                ],
            )
        )
    return Section(
        anchor="fairness",
        title="Groups of applicants",
        intro=(
            f"Policy profile {card.evidence.policy}, mode {facts.mode}: the approval rate of a group over "
            f"that of the group with the highest one should be at least {facts.minimum_ratio:.2f}. Groups "
            f"under {facts.minimum_group_rows:,} rows are not compared. This is a screen and no statement of "
            "legal compliance."
        ),
        blocks=blocks,
    )


def _attribute(attribute: AttributeFairness, facts: FairnessFacts) -> list[Block]:
    below = [each.group for each in attribute.groups if each.state == "below"]
    if below:
        tone, text = Tone.CAUTION, f"approved less often than the minimum, beyond chance: {', '.join(below)}."
    elif attribute.lowest_ratio is None:
        tone, text = Tone.NOTE, "fewer than two groups have enough rows."
    elif attribute.lowest_ratio < facts.minimum_ratio:
        tone, text = Tone.NOTE, "the lowest ratio is below the minimum, which may be chance."
    else:
        tone, text = Tone.GOOD, f"the lowest ratio is {attribute.lowest_ratio:.3f}."
    gaps = ""
    if attribute.gap_bads_declined is not None and attribute.gap_goods_declined is not None:
        gaps = (
            f" Largest difference between groups: defaulters declined "
            f"{formats.percent(attribute.gap_bads_declined)}, others declined "
            f"{formats.percent(attribute.gap_goods_declined)}."
        )
    proxies = ", ".join(f"{each.column} {each.association:.2f}" for each in attribute.proxies)
    return [
        Note(tone=tone, text=f"{attribute.attribute}: {text}{gaps}"),
        Table(
            caption=f"{attribute.attribute} at the cut-off. Features that go with it most (Cramér's V): "
            f"{proxies or 'none'}.",
            columns=("Group", "Rows", "Approved", "Ratio (95%)", "Defaulters declined", "Others declined"),
            rows=[
                (
                    each.group,
                    formats.count(each.rows),
                    formats.percent(each.approval_rate),
                    "too few rows"
                    if each.ratio is None or each.low is None or each.high is None
                    else "reference"
                    if each.state == "reference"
                    else f"{each.ratio:.3f} ({each.low:.3f} to {each.high:.3f})",
                    formats.percent(each.bads_declined),
                    formats.percent(each.goods_declined),
                )
                for each in attribute.groups
            ],
        ),
        Table(
            caption=f"Calibration by {attribute.attribute}.",
            columns=("Group", "Rows", "Defaults", "Mean PD", "Default rate (95%)"),
            rows=[
                (
                    each.group,
                    formats.count(each.rows),
                    formats.count(each.bads),
                    formats.percent(each.mean_pd),
                    share_with_range(each.bad_rate, each.bad_rate_low, each.bad_rate_high),
                )
                for each in attribute.groups
            ],
        ),
    ]


def monitoring(card: ModelCard) -> Section:
    """What is watched, by which windows and limits, and the thresholds as they are configured."""
    return Section(
        anchor="monitoring",
        title="Monitoring plan",
        intro="What is watched, with the thresholds of the configuration that this document was made under.",
        blocks=[
            Table(
                caption="Measures in service. Each must also exceed what chance explains in so many rows.",
                columns=("What", "Window", "Warns", "Asks for action"),
                rows=[
                    (each.what, each.window, formats.number(each.warns, 2), formats.number(each.acts, 2))
                    for each in card.watched
                ],
                texts=2,
            ),
            Table(
                caption="Settings.",
                columns=("Setting", "Value", "Meaning"),
                rows=[(each.variable, each.value, each.meaning) for each in card.thresholds],
                texts=3,
            ),
        ],
    )


def approvals(card: ModelCard) -> Section:
    """Decisions, approvals and overrides, and the audit trail."""
    blocks: list[Block] = [_decision(decision) for decision in card.decisions]
    if not card.decisions:
        blocks.append(Note(tone=Tone.NOTE, text="No decision has been taken about the model yet."))
    if card.approvals:
        blocks.append(
            Table(
                caption="Approvals and overrides by people.",
                columns=("Approver", "Reason", "Rules overridden", "Granted", "Expires"),
                rows=[
                    (
                        each.approver,
                        each.reason,
                        ", ".join(each.overrides) or "none",
                        each.granted_at,
                        each.expires_at,
                    )
                    for each in card.approvals
                ],
                texts=5,
            )
        )
    else:
        blocks.append(Note(tone=Tone.NOTE, text="No person has approved the model or overridden a rule."))
    blocks += [Note(tone=Tone.CAUTION, text=f"Audit trail: {fault}") for fault in card.audit_faults]
    blocks.append(
        Table(
            caption="Audit trail of the model"
            + (", verified without a fault." if not card.audit_faults else ", with the faults above."),
            columns=("Record", "When", "What", "Who", "Digest"),
            rows=[
                (str(each.number), each.happened_at, each.action, each.who, f"{each.digest[:16]}…")
                for each in card.audit
            ],
            texts=5,
        )
    )
    return Section(
        anchor="approvals",
        title="Decisions, approvals and overrides",
        intro="Who decided what about the model, by which figures.",
        blocks=blocks,
    )


def _decision(decision: DecisionFacts) -> Table:
    beside = f" beside the champion {decision.champion}" if decision.champion else ""
    caption = f"{decision.decided_at}: {decision.action} by {decision.run}{beside}."
    if not decision.rules:
        return Table(
            caption=caption, columns=("Reason",), rows=[(reason,) for reason in decision.reasons], texts=1
        )
    return Table(
        caption=caption,
        columns=("Rule", "Outcome", "What was found", "Value", "Threshold", "Interval"),
        rows=[
            (
                f"{each.number} {each.name.replace('_', ' ')}",
                each.outcome,
                each.sentence,
                _found(each.value),
                _found(each.threshold),
                formats.NOTHING
                if each.low is None or each.high is None
                else f"{formats.number(each.low, 4)} to {formats.number(each.high, 4)}",
            )
            for each in decision.rules
        ],
        texts=3,
    )


def _found(value: float | None) -> str:
    """A metric with four decimals; a count, such as that of the rows, has none."""
    is_count = value is not None and value > 1 and float(value).is_integer()
    return formats.number(value, 0 if is_count else 4)


def changes(card: ModelCard) -> Section:
    """What is different from the former champion."""
    if card.former_champion is None:
        return Section(
            anchor="changes",
            title="Changes",
            intro="There is no former champion to compare with.",
        )
    return Section(
        anchor="changes",
        title="Changes",
        intro=f"Against {card.former_champion}, the champion before.",
        blocks=[
            Table(
                caption="What differs.",
                columns=("What", "Before", "Now"),
                rows=[(each.what, each.before, each.now) for each in card.changes],
                texts=3,
            )
            if card.changes
            else Note(tone=Tone.NOTE, text="Nothing that is stored differs.")
        ],
    )


def provenance(card: ModelCard) -> Section:
    """Versions, seed, digests of all inputs, and every installed distribution."""
    facts = [
        ("model version", card.version),
        ("code version", card.code_version),
        ("seed", str(card.seed)),
        ("run", card.run or "by hand"),
        ("training", formats.duration(card.training_seconds)),
        *card.evidence.provenance,
    ]
    return Section(
        anchor="provenance",
        title="Provenance",
        intro="What the model and this document were made from, by digest.",
        blocks=[
            Table(caption="The model.", columns=("What", "Value"), rows=facts, texts=2),
            Table(
                caption="Inputs of this document, by SHA-256.",
                columns=("Input", "SHA-256"),
                rows=card.inputs,
                texts=2,
            ),
            Table(
                caption=f"The {len(card.evidence.distributions)} distributions that were installed when the "
                "model was trained.",
                columns=("Distribution", "Version"),
                rows=card.evidence.distributions,
                texts=2,
                long=True,
            ),
        ],
    )
