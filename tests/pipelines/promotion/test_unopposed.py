"""No model replaces a champion that it was not compared with: each way there was, and the ways out."""

import json
from dataclasses import replace

import pytest
from conftest import SCHEMA
from pipelines.promotion_setup import PromotionSetup, decide, evaluated

from loan_default.data.schema.language import Schema
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import DatasetName, ModelStatus
from loan_default.database.repositories import POINTERS, MetricsRepository
from loan_default.errors import DataError, DependencyError
from loan_default.evaluation.gate import Verdict
from loan_default.pipelines.promotion.candidates import choose_model
from loan_default.pipelines.promotion.comparison import check_thresholds, evaluate_model
from loan_default.pipelines.promotion.decisions import update_status
from loan_default.pipelines.promotion.evaluation_run import Chosen, EvaluationRun

pytestmark = pytest.mark.slow  # each test validates trained models

OLD = "old-champion"


def install_champion(
    promotion: PromotionSetup, name: str = OLD, *, schema: Schema = SCHEMA, **provenance: object
) -> None:
    """Make a model of the registry the champion."""
    promotion.candidate(name, schema=schema, **provenance)
    decide(promotion.run(f"{name}-run"), name, rollback=True)


def chosen_by(run: EvaluationRun, **options: object) -> Chosen:
    chosen = choose_model(run, **options).chosen
    assert chosen is not None
    return chosen


def with_column(column_name: str, /, **changes: object) -> Schema:
    """The schema with one column changed."""
    return replace(
        SCHEMA,
        columns=tuple(
            replace(each, **changes) if each.name == column_name else each for each in SCHEMA.columns
        ),
    )


def under(run: EvaluationRun, schema: Schema) -> EvaluationRun:
    return replace(run, services=replace(run.services, schema=schema))


# A corrected description -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "corrected",
    [
        with_column("income", description="Income of the household."),
        with_column("debt", unit="euro"),
        with_column("purpose", labels={"car": "a car"}),
        replace(SCHEMA, description="Loans to households."),
        with_column("income", minimum=-1, maximum=1e12),
    ],
)
def test_a_corrected_description_leaves_the_champion_compared(promotion, corrected):
    install_champion(promotion)
    run = under(promotion.run("corrected"), corrected)
    found = evaluated(run, promotion.model.version)
    assert (found.champion, found.alone) == (OLD, None)
    own, champion = promotion.metrics(found.metrics), promotion.metrics(found.champion_metrics)
    assert own.dataset is champion.dataset is DatasetName.HELD_OUT
    assert own.rows == champion.rows
    assert any("champion's" in reason for reason in check_thresholds(run, found).reasons)


# A champion that cannot be compared ----------------------------------------------------------------------


def refused(promotion: PromotionSetup, run: EvaluationRun | None = None) -> Decision:
    """The decision about the trained model, which must not move the champion."""
    before = promotion.models.champion()
    decision = decide(run or promotion.run("challenger"), promotion.model.version)
    assert decision.action is Action.REJECTED
    assert promotion.models.champion() == before
    assert promotion.models.get(promotion.model.version).status is ModelStatus.REJECTED
    return decision


def check_reason(decision: Decision, why: str) -> None:
    (broken,) = decision.broken
    assert broken.startswith(f"failed: the model must be compared with the champion {OLD}, but cannot be: ")
    assert why in broken
    way_out = {"version": decision.version, "replaces": OLD}
    assert f"evaluation.requested with {json.dumps(way_out)}" in broken
    assert broken in decision.reasons


def test_a_champion_whose_file_is_damaged_is_not_replaced_unopposed(promotion):
    install_champion(promotion)
    (promotion.home / promotion.models.get(OLD).path).write_bytes(b"damaged")
    decision = refused(promotion)
    check_reason(decision, "its file was refused")
    assert "backup" in decision.broken[0]
    assert "model.rollback.requested" in decision.broken[0]


def test_a_champion_whose_file_is_gone_is_not_replaced_unopposed(promotion):
    install_champion(promotion)
    (promotion.home / promotion.models.get(OLD).path).unlink()
    check_reason(refused(promotion), "its file was refused")


def test_a_champion_that_is_not_in_the_registry_is_not_replaced_unopposed(promotion):
    install_champion(promotion)
    promotion.services.database["model_metadata"].delete_many({"_id": OLD})
    check_reason(refused(promotion), "it is not in the registry")


def test_a_champion_of_another_artefact_than_the_pointer_names_is_not_replaced_unopposed(promotion):
    install_champion(promotion)
    promotion.services.database[POINTERS].update_one({}, {"$set": {"digest": "ab" * 32}})
    check_reason(refused(promotion), "digest")


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (with_column("income", special=(7.0,)), "income"),
        (with_column("purpose", aliases={"auto": "house"}), "purpose"),
        (with_column("debt", name="liabilities"), "liabilities"),
        (with_column("bad", positive="late"), "bad"),
        (with_column("purpose", categories=("car", "house", "study", "boat")), "purpose"),
    ],
)
def test_a_champion_of_another_schema_is_not_replaced_unopposed(promotion, schema, why):
    install_champion(promotion, schema=schema)
    decision = refused(promotion)
    check_reason(decision, why)
    assert "the schema reads" in decision.broken[0]


def test_a_champion_that_may_have_seen_all_rows_is_not_replaced_unopposed(promotion):
    install_champion(promotion, split="stratified", seen_until=None)
    check_reason(refused(promotion), "no row is known to be new to both")


def test_a_champion_of_an_older_permanent_holdout_is_not_replaced_unopposed(promotion):
    install_champion(promotion, split_version=1, seen_until=None)
    check_reason(refused(promotion), "version 1 of the permanent holdout")


def test_a_champion_that_is_older_than_versions_of_the_holdout_is_not_replaced_unopposed(promotion):
    install_champion(promotion, split_version=None, seen_until=None)
    check_reason(refused(promotion), "version 1 of the permanent holdout")


def test_later_rows_compare_models_of_two_holdouts(promotion):
    """Rows later than all that both have seen are new to both, whatever split they were trained by."""
    early = "2000-01-01T00:00:00+00:00"
    install_champion(promotion, split_version=1, seen_until=early)
    promotion.candidate("new", seen_until=early)
    decision = decide(promotion.run("later"), "new")
    assert decision.action is Action.PROMOTED
    assert promotion.metrics(decision.metrics).dataset is DatasetName.OUT_OF_TIME


def test_later_rows_do_not_compare_models_whose_times_are_those_of_another_column(promotion):
    early = "2000-01-01T00:00:00+00:00"
    install_champion(promotion, schema=with_column("made", name="decided"), split_version=1, seen_until=early)
    promotion.candidate("new", seen_until=early)
    decision = decide(promotion.run("later"), "new")
    assert decision.action is Action.REJECTED
    assert promotion.models.champion().version == OLD


def test_a_champion_whose_metrics_are_gone_is_not_replaced_unopposed(promotion):
    install_champion(promotion)
    run = promotion.run("challenger")
    found = evaluated(run, promotion.model.version)
    promotion.services.database["performance_metrics"].delete_many({"_id": found.champion_metrics})
    decision = update_status(run, found, check_thresholds(run, found))
    assert decision.action is Action.REJECTED
    check_reason(decision, "its metrics are not stored")


def test_a_champion_without_an_auc_is_not_replaced_unopposed(promotion):
    install_champion(promotion)
    run = promotion.run("challenger")
    found = evaluated(run, promotion.model.version)
    collection = promotion.services.database["performance_metrics"]
    stored = collection.find_one({"_id": found.champion_metrics})
    stored["figures"]["auc"] = None
    stored["reasons"]["auc"] = "not defined on these rows"
    stored["intervals"].pop("auc", None)
    collection.delete_many({"_id": found.champion_metrics})
    collection.insert_one(stored)
    assert MetricsRepository(promotion.services.database).get(found.champion_metrics).figures["auc"] is None
    decision = update_status(run, found, check_thresholds(run, found))
    assert decision.action is Action.REJECTED
    assert "and the champion's AUC is not defined; it must be at least 0.0000 ahead" in decision.broken[0]


def test_a_verdict_that_forgot_the_champion_does_not_promote(promotion):
    """As one of an older version would, that was on its way when the new one was installed."""
    install_champion(promotion, split="stratified", seen_until=None)
    run = promotion.run("in-flight")
    found = evaluated(run, promotion.model.version)
    decision = update_status(run, found, Verdict(reasons=("passed: all rules of that version",)))
    assert decision.action is Action.REJECTED
    check_reason(decision, "no row is known to be new to both")


def test_who_loses_a_race_to_a_champion_that_cannot_be_compared_is_not_promoted(promotion):
    run = promotion.run("slow-run")
    found = evaluated(run, promotion.model.version)
    verdict = check_thresholds(run, found)
    assert verdict.passed
    install_champion(promotion, split="stratified", seen_until=None)
    decision = update_status(run, found, verdict)
    assert (decision.action, decision.champion) == (Action.REJECTED, OLD)


# A pointer that is lost ----------------------------------------------------------------------------------


def test_the_first_model_is_promoted_on_thresholds_alone(promotion):
    decision = decide(promotion.run("first"), promotion.model.version)
    assert (decision.action, decision.champion, decision.seen_rev) == (Action.PROMOTED, None, 0)


@pytest.mark.parametrize("status", [ModelStatus.CHAMPION, ModelStatus.ARCHIVED])
def test_a_lost_pointer_is_no_absent_champion(promotion, status):
    install_champion(promotion)
    promotion.services.database[POINTERS].delete_many({})
    promotion.models.set_status(OLD, status)
    decision = decide(promotion.run("challenger"), promotion.model.version)
    assert decision.action is Action.REJECTED
    assert promotion.models.champion() is None
    (broken,) = decision.broken
    assert f"the pointer to the champion is lost: {OLD} has been the champion" in broken
    assert 'model.rollback.requested with {"version":' in broken


def test_a_decision_that_saw_a_champion_shows_that_the_pointer_is_lost(promotion):
    install_champion(promotion)
    decide(promotion.run("rejected"), promotion.model.version)
    promotion.services.database[POINTERS].delete_many({})
    promotion.services.database["model_metadata"].delete_many({"_id": OLD})
    promotion.candidate("next")
    decision = decide(promotion.run("challenger"), "next")
    assert decision.action is Action.REJECTED
    assert promotion.models.champion() is None


def test_a_first_promotion_whose_status_was_not_written_shows_that_the_pointer_is_lost(promotion, dying_at):
    promotion.candidate(OLD)
    dying_at("champion_moved")
    with pytest.raises(DependencyError):
        decide(promotion.run("first"), OLD)
    dying_at(None)
    promotion.services.database[POINTERS].delete_many({})
    assert promotion.models.get(OLD).status is ModelStatus.TRAINED
    decision = decide(promotion.run("challenger"), promotion.model.version)
    assert decision.action is Action.REJECTED
    assert f"the pointer to the champion is lost: {OLD} has been" in decision.broken[0]
    assert promotion.models.champion() is None
    run = promotion.run("undo")  # the way out that the reason names
    found = evaluate_model(run, chosen_by(run, version=OLD, rollback=True))
    assert update_status(run, found, check_thresholds(run, found)).action is Action.ROLLED_BACK
    assert promotion.models.champion().version == OLD


def test_a_first_promotion_alone_among_the_decisions_shows_that_the_pointer_is_lost(promotion):
    promotion.candidate(OLD)
    assert decide(promotion.run("first"), OLD).action is Action.PROMOTED
    promotion.services.database[POINTERS].delete_many({})
    promotion.services.database["model_metadata"].delete_many({"_id": OLD})
    decision = decide(promotion.run("challenger"), promotion.model.version)
    assert decision.action is Action.REJECTED
    assert promotion.models.champion() is None


def test_a_first_promotion_that_was_decided_and_not_done_is_done_by_its_own_run(promotion, dying_at):
    """Its decision alone makes the pointer look lost, which must not hold up the run that wrote it."""
    run = promotion.run("first")
    dying_at("decision_written")
    with pytest.raises(DependencyError):
        decide(run, promotion.model.version)
    dying_at(None)
    assert promotion.models.champion() is None
    assert decide(run, promotion.model.version).action is Action.PROMOTED
    assert promotion.models.champion().version == promotion.model.version
    assert promotion.models.get(promotion.model.version).status is ModelStatus.CHAMPION


def test_a_rollback_brings_a_lost_pointer_back(promotion):
    install_champion(promotion)
    promotion.services.database[POINTERS].delete_many({})
    run = promotion.run("undo")
    chosen = chosen_by(run, version=OLD, rollback=True)
    found = evaluate_model(run, chosen)
    assert update_status(run, found, check_thresholds(run, found)).action is Action.ROLLED_BACK
    assert promotion.models.champion().version == OLD


# Rollbacks -----------------------------------------------------------------------------------------------


def test_a_rollback_promotes_no_model_that_was_never_evaluated(promotion):
    install_champion(promotion)
    with pytest.raises(DataError, match=r"must have been evaluated before.*`loan-default promote`"):
        choose_model(promotion.run("undo"), version=promotion.model.version, rollback=True)
    assert promotion.models.champion().version == OLD


def test_a_rollback_of_a_model_that_was_rejected_says_so(promotion):
    install_champion(promotion, split="stratified", seen_until=None)
    refused(promotion)
    run = promotion.run("undo")
    found = evaluate_model(run, chosen_by(run, version=promotion.model.version, rollback=True))
    verdict = check_thresholds(run, found)
    assert any("was never the champion" in reason for reason in verdict.reasons)
    assert update_status(run, found, verdict).action is Action.ROLLED_BACK


# A person confirms ---------------------------------------------------------------------------------------


def asked_for(promotion: PromotionSetup, name: str, replaces: str, **changes: object) -> Decision:
    """What comes of a request to evaluate the trained model in place of a champion."""
    run = replace(promotion.run(name), **changes)
    found = evaluate_model(run, chosen_by(run, version=promotion.model.version, replaces=replaces))
    return update_status(run, found, check_thresholds(run, found))


def test_a_person_may_confirm_that_a_champion_is_replaced_without_a_comparison(promotion):
    install_champion(promotion, schema=with_column("income", special=(7.0,)))
    refused(promotion)
    decision = asked_for(promotion, "confirmed", OLD)
    assert (decision.action, decision.champion) == (Action.PROMOTED, OLD)
    assert any(reason.startswith(f"confirmed: {OLD} is replaced without") for reason in decision.reasons)
    assert promotion.models.champion().version == promotion.model.version
    assert promotion.models.get(OLD).status is ModelStatus.ARCHIVED


def test_thresholds_hold_for_a_confirmed_replacement_too(promotion):
    install_champion(promotion, split="stratified", seen_until=None)
    strict = replace(promotion.run().thresholds, minimum_auc=0.999)
    decision = asked_for(promotion, "confirmed", OLD, thresholds=strict)
    assert decision.action is Action.REJECTED
    assert promotion.models.champion().version == OLD


def test_a_confirmation_does_not_count_where_the_champion_can_be_compared(promotion):
    install_champion(promotion)
    lead = replace(promotion.run().thresholds, minimum_lead=0.01)
    decision = asked_for(promotion, "confirmed", OLD, thresholds=lead)
    assert decision.action is Action.REJECTED
    assert "0.0000 ahead of the champion's" in decision.broken[0]
    assert "it must be at least 0.0100 ahead" in decision.broken[0]


def test_a_confirmation_counts_for_the_champion_that_it_names_alone(promotion):
    install_champion(promotion, split="stratified", seen_until=None)
    decision = asked_for(promotion, "confirmed", "another")
    assert decision.action is Action.REJECTED
    check_reason(decision, "no row is known to be new to both")


def test_a_confirmation_names_its_challenger_and_is_no_rollback(promotion):
    install_champion(promotion)
    with pytest.raises(DataError, match="replaces must come with version"):
        choose_model(promotion.run(), replaces=OLD)
    with pytest.raises(DataError, match="without rollback"):
        choose_model(promotion.run(), version=OLD, replaces=OLD, rollback=True)


def test_a_confirmation_is_kept_when_a_race_is_lost_to_another_champion(promotion):
    """It named the champion of before: it says nothing about the one of now."""
    install_champion(promotion, split="stratified", seen_until=None)
    run = promotion.run("confirmed")
    found = evaluate_model(run, chosen_by(run, version=promotion.model.version, replaces=OLD))
    verdict = check_thresholds(run, found)
    install_champion(promotion, "another", split="stratified", seen_until=None)
    decision = update_status(run, found, verdict)
    assert (decision.action, decision.champion) == (Action.REJECTED, "another")
    assert promotion.models.champion().version == "another"


def test_what_is_stored_moves_no_pointer(promotion):
    """Training registers models; only an evaluation or a rollback makes one the champion."""
    promotion.candidate("stored")
    assert promotion.models.champion() is None
    assert DecisionRepository(promotion.services.database).newest_first() == []
