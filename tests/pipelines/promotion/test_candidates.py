"""Which model is evaluated, which ones are passed over, and which one a rollback brings back."""

import shutil
from dataclasses import replace

import pytest
from pipelines.promotion_setup import PromotionSetup, decide

from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelMetadata, ModelStatus
from loan_default.errors import ArtifactError, DataError
from loan_default.pipelines.promotion.candidates import choose_model
from loan_default.pipelines.promotion.comparison import read_registered
from loan_default.pipelines.promotion.decisions import reject_refused
from loan_default.pipelines.promotion.evaluation_run import Chosen, EvaluationRun


def chosen_by(run: EvaluationRun, **options: object) -> Chosen:
    """The model that a run chooses, which must be one whose file can be read."""
    chosen = choose_model(run, **options).chosen
    assert chosen is not None
    read_registered(run, chosen.version)
    return chosen


@pytest.mark.slow
def test_which_model_is_evaluated(promotion):
    assert chosen_by(promotion.run(), version=promotion.model.version).why == "asked for"
    newer = promotion.candidate("newer")
    assert chosen_by(promotion.run()).version == "newer"
    decide(promotion.run(), "newer")
    assert chosen_by(promotion.run()).version == promotion.model.version, "the one that still waits"
    promotion.models.set_status(promotion.model.version, ModelStatus.REJECTED)
    chosen = chosen_by(promotion.run())
    assert (chosen.version, "champion" in chosen.why) == (newer.version, True)
    with pytest.raises(DataError, match="former champion"):
        chosen_by(promotion.run(), rollback=True)
    with pytest.raises(DataError, match="must hold what is asked for"):
        chosen_by(promotion.run(), version="unknown")


@pytest.mark.slow
def test_a_damaged_model_is_passed_over_and_named_and_nothing_is_written(promotion):
    damage(promotion, promotion.candidate("damaged"))
    with pytest.raises(ArtifactError):
        chosen_by(promotion.run(), version="damaged")
    for _ in range(2):
        selection = choose_model(promotion.run())
        assert selection.chosen is not None
        assert selection.chosen.version == promotion.model.version
        (refused,) = selection.refused
        assert refused.version == "damaged"
        assert "recorded digest" in refused.reason
    assert promotion.models.get("damaged").status is ModelStatus.TRAINED
    assert DecisionRepository(promotion.services.database).newest_first() == []


@pytest.mark.slow
def test_all_damaged_models_are_named_where_no_other_can_be_evaluated(promotion):
    damage(promotion, promotion.candidate("older"))
    damage(promotion, promotion.candidate("newer"))
    promotion.models.set_status(promotion.model.version, ModelStatus.REJECTED)
    selection = choose_model(promotion.run())
    assert selection.chosen is None
    assert [each.version for each in selection.refused] == ["newer", "older"]


@pytest.mark.slow
def test_a_damaged_model_that_is_rejected_keeps_its_reason_and_is_not_found_again(promotion):
    damage(promotion, promotion.candidate("damaged"))
    (refused,) = choose_model(promotion.run()).refused
    for _ in range(2):
        reject_refused(promotion.run(), refused.version, reason=refused.reason)
    assert promotion.models.get("damaged").status is ModelStatus.REJECTED
    (decision,) = DecisionRepository(promotion.services.database).newest_first()
    assert (decision.version, decision.action, decision.snapshot) == ("damaged", Action.REJECTED, None)
    assert "recorded digest" in decision.broken[0]
    assert promotion.models.champion() is None
    assert choose_model(promotion.run()).refused == ()


def damage(promotion: PromotionSetup, model: ModelMetadata) -> None:
    """Change one bit of a model's file."""
    path = promotion.home / model.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_machine_without_any_models_rejects_none(promotion, tmp_path):
    shutil.copytree(promotion.home, tmp_path / "home", ignore=shutil.ignore_patterns("models"))
    with pytest.raises(ArtifactError):
        choose_model(replace(promotion.run(), home=tmp_path / "home"))
    assert promotion.models.get(promotion.model.version).status is ModelStatus.TRAINED


@pytest.mark.slow
def test_a_damaged_champion_does_not_keep_other_models_from_being_evaluated(promotion):
    promotion.candidate("b")
    decide(promotion.run("first"), "b")
    (promotion.home / promotion.models.get("b").path).write_bytes(b"")
    assert chosen_by(promotion.run()).version == promotion.model.version
    assert decide(promotion.run("second"), promotion.model.version).action is Action.REJECTED
    with pytest.raises(ArtifactError):
        chosen_by(promotion.run())


@pytest.mark.slow
def test_a_rollback_brings_back_the_champion_before_the_present_one(promotion):
    """Not the newest former one: that may be the model which was rolled back."""
    for name in ("b", "c", "d"):
        promotion.candidate(name)
    for name in (promotion.model.version, "b", "c"):
        decide(promotion.run(f"run-{name}"), name)
    undo = promotion.run("undo")
    assert chosen_by(undo, rollback=True).version == "b"
    decide(undo, "b", rollback=True)
    assert chosen_by(undo, rollback=True).version == "b", "a run that is cleared brings back the same one"
    decide(promotion.run("run-d"), "d")
    assert chosen_by(promotion.run("next"), rollback=True).version == "b"


@pytest.mark.slow
def test_a_second_rollback_goes_further_back_and_not_to_the_model_that_the_first_one_left(promotion):
    first = promotion.model.version
    for name in ("b", "c"):
        promotion.candidate(name)
    for name in (first, "b", "c"):
        decide(promotion.run(f"run-{name}"), name)
    for number, former in enumerate(("b", first)):
        undo = promotion.run(f"undo-{number}")
        assert chosen_by(undo, rollback=True).version == former
        decide(undo, former, rollback=True)
    with pytest.raises(DataError, match="must have a former champion"):
        chosen_by(promotion.run("undo-2"), rollback=True)


@pytest.mark.slow
def test_a_rollback_to_a_model_that_is_named_goes_on_from_there(promotion):
    first = promotion.model.version
    for name in ("b", "c"):
        promotion.candidate(name)
    for name in (first, "b"):
        decide(promotion.run(f"run-{name}"), name)
    decide(promotion.run("forward"), "c", rollback=True)
    assert chosen_by(promotion.run("next"), rollback=True).version == "b", "c was never a champion before"
    decide(promotion.run("back"), first, rollback=True)
    decide(promotion.run("again"), "b", rollback=True)
    assert chosen_by(promotion.run("last"), rollback=True).version == first


@pytest.mark.slow
def test_after_the_first_champion_there_is_none_to_go_back_to(promotion):
    decide(promotion.run("first"), promotion.model.version)
    with pytest.raises(DataError, match="must have a former champion"):
        chosen_by(promotion.run(), rollback=True)


def test_a_replacement_is_confirmed_for_a_model_that_is_named_and_for_no_rollback(promotion):
    version = promotion.model.version
    assert chosen_by(promotion.run(), version=version, replaces="lost").replaces == "lost"
    assert chosen_by(promotion.run(), version=version).replaces is None
    with pytest.raises(DataError, match="replaces must come with version"):
        chosen_by(promotion.run(), replaces="lost")
    with pytest.raises(DataError, match="replaces must come without rollback"):
        chosen_by(promotion.run(), version=version, rollback=True, replaces="lost")
