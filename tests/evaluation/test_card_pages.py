"""The documents of a model: what stands in them for which figures, escaped, and alike in both forms."""

from dataclasses import replace

import pytest
from evaluation.test_reject_metrics import FACTS
from pydantic import TypeAdapter

from loan_default.errors import DataError
from loan_default.evaluation.card_blocks import Note, Section, Table, Text, as_markdown
from loan_default.evaluation.card_contents import card_of, card_schema
from loan_default.evaluation.card_pages import card_markdown, render_card, sections_of
from loan_default.evaluation.reject_metrics import RejectFacts
from loan_default.evaluation.statements import Tone
from loan_default.pipelines.training.run_evidence import evidence_of
from loan_default.review_policy import ReviewPolicy

RULE = {
    "number": 5,
    "name": "calibration_slope",
    "outcome": "overridden",
    "value": 0.5,
    "threshold": 0.6,
    "low": 0.4,
    "high": 0.6,
    "data": "data-1",
    "sentence": "the slope is 0.5000; it must be at least 0.6000.",
}


@pytest.fixture(scope="module")
def figures(lab):
    evidence = evidence_of(
        lab.outcome.plan,
        lab.outcome.trained,
        intervals=lab.outcome.intervals,
        importance=[],
        policy=ReviewPolicy(),
    )
    return evidence.model_dump(mode="json")


def contents(figures, **values):
    return {
        "card_version": "1.0",
        "version": "v2",
        "status": "trained",
        "is_champion": False,
        "created_at": "2026-11-23 12:00 UTC",
        "code_version": "0.2.0",
        "seed": 0,
        "parameters": 1000,
        "rows": {"train": 10},
        "libraries": {"torch": "2.13.0"},
        "training_seconds": 3.5,
        "run": None,
        "evidence": figures,
        "evaluation": None,
        "decisions": [],
        "approvals": [],
        "audit": [],
        "audit_faults": [],
        "thresholds": [],
        "watched": [{"what": "PSI of the score", "window": "hourly", "warns": 0.1, "acts": 0.25}],
        "materiality": None,
        "former_champion": None,
        "changes": [],
        "inputs": [],
    } | values


@pytest.mark.slow
def test_decisions_rules_approvals_and_changes_are_shown(figures):
    card = card_of(
        contents(
            figures,
            is_champion=True,
            decisions=[
                {
                    "decided_at": "2026-11-24",
                    "action": "promoted",
                    "run": "run-7",
                    "champion": "v1",
                    "reasons": ["x"],
                    "rules": [RULE],
                }
            ],
            approvals=[
                {
                    "approver": "A. Person",
                    "reason": "few rows",
                    "overrides": ["calibration_slope"],
                    "granted_at": "2026-11-24",
                    "expires_at": "2026-12-24",
                }
            ],
            audit=[
                {"number": 1, "happened_at": "now", "action": "promoted", "who": "run 7", "digest": "ab" * 32}
            ],
            audit_faults=["record 2 is missing."],
            thresholds=[{"variable": "LOAN_DEFAULT_X", "value": "7", "meaning": "how far"}],
            former_champion="v1",
            changes=[{"what": "seed", "before": "0", "now": "1"}],
            inputs=[["model file", "cd" * 32]],
            evaluation={
                "dataset": "held_out",
                "rows": 900,
                "snapshot": "data-1",
                "beside": "v1",
                "metrics": [{"name": "auc", "value": 0.8, "low": 0.7, "high": 0.9, "champion": 0.79}],
            },
        )
    )
    page, text = render_card(card), card_markdown(card)
    for shown in (
        "A. Person", "few rows", "2026-12-24", "overridden", "0.4000 to 0.6000", "record 2 is missing.",
        "how far", "Against v1, the champion before", "cd" * 32, "0.8000 (0.7000 to 0.9000)",
        "on 900 rows that it has not learned from: its AUC is 0.800 (0.700 to 0.900) there",
    ):  # fmt: skip
        assert shown in page
        assert shown.replace("_", r"\_") in text
    assert card.digest in page
    assert card.digest in text


@pytest.mark.slow
def test_what_there_is_not_is_stated(figures):
    card = card_of(contents(figures))
    page = render_card(card)
    for stated in (
        "No decision has been taken about the model yet.",
        "No person has approved the model or overridden a rule.",
        "The schema declares no protected column.",
        "There is no former champion to compare with.",
        "none was inferred",
        "They do not show how the model ages.",
    ):
        assert stated in page
    assert "<script" not in page


@pytest.mark.slow
def test_older_decisions_show_their_sentences(figures):
    decision = {
        "decided_at": "t",
        "action": "rejected",
        "run": "r",
        "champion": None,
        "reasons": ["failed: KS is 0.1."],
        "rules": [],
    }
    assert "failed: KS is 0.1." in render_card(card_of(contents(figures, decisions=[decision])))


def test_the_digest_is_that_of_the_contents(figures):
    card = card_of(contents(figures))
    assert card.digest == card_of(contents(figures)).digest
    assert card.digest != card_of(contents(figures, seed=1)).digest


@pytest.mark.parametrize("name", ["version", "evidence", "decisions", "thresholds", "training_seconds"])
def test_a_missing_part_is_named(figures, name):
    given = contents(figures)
    del given[name]
    with pytest.raises(DataError, match=rf"must have every figure, however: 1 are missing or wrong: {name}"):
        card_of(given)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "many"])
def test_a_figure_must_be_a_number(figures, value):
    with pytest.raises(DataError, match="training_seconds"):
        card_of(contents(figures, training_seconds=value))


def test_the_schema_requires_all_parts_and_allows_no_others():
    schema = card_schema()
    assert set(schema["required"]) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["TrainingEvidence"]["additionalProperties"] is False


@pytest.mark.slow
def test_sections_have_anchors_of_their_own(figures):
    anchors = [section.anchor for section in sections_of(card_of(contents(figures)))]
    assert len(anchors) == len(set(anchors)) == 15


@pytest.mark.slow
def test_text_from_data_is_escaped_in_both_forms(figures):
    evil = "<b>|`x`*"
    given = contents(figures, changes=[{"what": evil, "before": "a\nb", "now": "c"}], former_champion="v1")
    card = card_of(given)
    assert "<b>" not in render_card(card)
    assert r"\<b\>\|\`x\`\*" in card_markdown(card)
    assert "| a b | c |" in card_markdown(card)


def test_blocks_become_markdown():
    section = Section(
        anchor="a",
        title="First",
        intro="Why.",
        blocks=[
            Text(text="One."),
            Note(tone=Tone.CAUTION, text="Two."),
            Table(caption="Three.", columns=("Name", "Rows"), rows=[("x", "1"), ("", "2")]),
        ],
    )
    assert as_markdown("T", ["L"], [section, replace(section, title="Second", blocks=())]) == (
        "# T\n\nL\n\n## 1. First\n\nWhy.\n\nOne.\n\n- **caution:** Two.\n\nThree.\n\n| Name | Rows |\n"
        "| --- | ---: |\n| x | 1 |\n| \N{EN DASH} | 2 |\n\n## 2. Second\n\nWhy.\n"
    )


@pytest.mark.slow
def test_columns_in_which_the_pd_must_be_monotonic_are_shown(figures):
    assert "asks of no column that the PD rises" in card_markdown(card_of(contents(figures)))
    swept = {
        "column": "income",
        "direction": "decreasing",
        "rows": 300,
        "values": 13,
        "falling": 0.02,
        "largest": 0.031,
    }
    shown = card_markdown(card_of(contents(figures | {"monotonic": [swept]})))
    assert "| income | decreasing | 300 | 2.0% | 3.1% |" in shown


@pytest.mark.slow
def test_rejected_applications_are_stated_with_and_without_an_inference(figures):
    facts = TypeAdapter(RejectFacts).dump_python(FACTS, mode="json")
    for card, stated in (
        (card_of(contents(figures)), "The data name no rejected ones"),
        (card_of(contents(figures | {"rejects": facts})), "parcelling with the factor 1.3"),
    ):
        page, text = render_card(card), card_markdown(card)
        assert '<section id="rejects"' in page
        assert stated in page
        assert stated in text
    assert "These figures rest on the assumption." in page
    assert "| Log loss | 0.8000 | 0.8000 |" in text
    with pytest.raises(DataError, match=r"must have every figure.*metrics\.auc|missing=\['auc'\]"):
        card_of(contents(figures | {"rejects": facts | {"metrics": facts["metrics"][1:]}}))
    assert "RejectFacts" in card_schema()["$defs"]
