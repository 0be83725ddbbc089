"""The model card and validation report as a page for people, and as Markdown; both from the same sections."""

from loan_default.evaluation import card_governance, card_robustness, card_sections, formats, reject_section
from loan_default.evaluation.card_blocks import Section, as_markdown, blocks_for_page
from loan_default.evaluation.card_contents import ModelCard
from loan_default.evaluation.card_sections import metric_of, with_range
from loan_default.evaluation.pages import page_templates


def sections_of(card: ModelCard) -> list[Section]:
    """All sections in the order of the documents."""
    return [
        card_sections.purpose(card),
        card_sections.data_sheet(card),
        reject_section.rejected_applications(card.evidence.rejects),
        card_sections.method(card),
        card_sections.performance(card),
        card_sections.calibration(card),
        card_robustness.stability(card),
        card_robustness.sensitivity(card),
        card_governance.money(card),
        card_governance.fairness(card),
        card_robustness.limits(card),
        card_governance.monitoring(card),
        card_governance.approvals(card),
        card_governance.changes(card),
        card_governance.provenance(card),
    ]


def render_card(card: ModelCard) -> str:
    """An HTML page without scripts and links to elsewhere; the charts are inline."""
    return (
        page_templates()
        .get_template("card.html")
        .render(
            title=_title(card),
            byline=_byline(card),
            strip=_strip(card),
            lead=_lead(card),
            sections=[_for_page(section) for section in sections_of(card)],
            digest=card.digest,
        )
        .lstrip()
    )


def card_markdown(card: ModelCard) -> str:
    """The same as Markdown; a chart is named there, and its figures are in the tables."""
    lines = [" · ".join(_byline(card)), _lead(card), f"SHA-256 of the contents: {card.digest}"]
    return as_markdown(f"Model card and validation report: {_title(card)}", lines, sections_of(card))


def _title(card: ModelCard) -> str:
    return f"{card.evidence.data.schema_name}, model {card.version}"


def _byline(card: ModelCard) -> list[str]:
    return ["champion" if card.is_champion else card.status, f"trained {card.created_at}"]


def _lead(card: ModelCard) -> str:
    area, outcome = metric_of(card.evidence, "auc"), card.evidence.money.operating
    below = [each.attribute for each in card.evidence.fairness.attributes if each.is_below]
    groups = f" Look at the approval rates by {', '.join(below)}." if below else ""
    return (
        f"The model ranks applicants with an AUC of {with_range(area.value, area.low, area.high)}. At the "
        f"cut-off in use it approves {formats.percent(outcome.approval_rate)}, of whom "
        f"{formats.percent(outcome.bad_rate)} defaulted.{groups} These metrics are of networks that have not "
        f"seen the test rows.{_of_the_gate(card)}"
    )


def _of_the_gate(card: ModelCard) -> str:
    """How the model that scores did when the gate evaluated it; nothing where it has not."""
    found = card.evaluation
    area = None if found is None else next((each for each in found.metrics if each.name == "auc"), None)
    if found is None or area is None:
        return ""
    return (
        f" The gate evaluated the model that scores on {formats.count(found.rows)} rows that it has not "
        f"learned from: its AUC is {with_range(area.value, area.low, area.high)} there, and its approval "
        "rate is among the rules of the decision."
    )


def _strip(card: ModelCard) -> list[dict[str, str]]:
    shown = []
    for name in ("auc", "ks", "brier", "calibration_slope"):
        each = metric_of(card.evidence, name)
        interval = (
            ""
            if each.low is None
            else f"{formats.metric(each.low, name)} to {formats.metric(each.high, name)}"
        )
        shown.append(
            {
                "name": card_sections.name_of(name),
                "value": formats.metric(each.value, name),
                "note": interval,
            }
        )
    choice, outcome = card.evidence.money.choice, card.evidence.money.operating
    shown += [
        {
            "name": "Cut-off PD",
            "value": formats.percent(outcome.cutoff),
            "note": f"by cost {formats.percent(choice.cutoff)}",
        },
        {
            "name": "Approved",
            "value": formats.percent(outcome.approval_rate),
            "note": f"{formats.percent(outcome.bad_rate)} defaulted",
        },
        {
            "name": "Expected loss",
            "value": formats.percent(outcome.expected_loss),
            "note": f"{formats.percent(outcome.realised_loss)} realised",
        },
    ]
    return shown


def _for_page(section: Section) -> dict[str, object]:
    blocks = blocks_for_page(section.blocks)
    return {"anchor": section.anchor, "title": section.title, "intro": section.intro, "blocks": blocks}
