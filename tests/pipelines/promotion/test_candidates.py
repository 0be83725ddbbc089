"""Which model is judged, and which one a rollback brings back."""

import shutil
from dataclasses import replace

import pytest
from pipelines.promotion_setup import decide

from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.errors import ArtifactError, DataError
from loan_default.pipelines.promotion.candidates import choose_model


def test_which_model_is_judged(promotion):
    assert choose_model(promotion.run(), version=promotion.model.version).why == "asked for"
    newer = promotion.candidate("newer")
    assert choose_model(promotion.run()).version == "newer"
    decide(promotion.run(), "newer")
    assert choose_model(promotion.run()).version == promotion.model.version, "the one that still waits"
    promotion.models.set_status(promotion.model.version, ModelStatus.REJECTED)
    chosen = choose_model(promotion.run())
    assert (chosen.version, "champion" in chosen.why) == (newer.version, True)
    with pytest.raises(DataError, match="former champion"):
        choose_model(promotion.run(), rollback=True)
    with pytest.raises(DataError, match="must hold what is asked for"):
        choose_model(promotion.run(), version="unknown")


def test_a_damaged_model_is_rejected_and_keeps_no_other_from_being_judged(promotion):
    damaged = promotion.candidate("damaged")
    path = promotion.home / damaged.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        choose_model(promotion.run(), version="damaged")
    assert promotion.models.get("damaged").status is ModelStatus.TRAINED
    for _ in range(2):
        assert choose_model(promotion.run()).version == promotion.model.version
    assert promotion.models.get("damaged").status is ModelStatus.REJECTED
    (decision,) = DecisionRepository(promotion.services.database).newest_first()
    assert (decision.version, decision.action, decision.snapshot) == ("damaged", Action.REJECTED, None)
    assert "recorded digest" in decision.broken[0]
    assert promotion.models.champion() is None


def test_a_machine_without_any_models_rejects_none(promotion, tmp_path):
    shutil.copytree(promotion.home, tmp_path / "home", ignore=shutil.ignore_patterns("models"))
    with pytest.raises(ArtifactError):
        choose_model(replace(promotion.run(), home=tmp_path / "home"))
    assert promotion.models.get(promotion.model.version).status is ModelStatus.TRAINED


def test_a_damaged_champion_is_no_reason_to_judge_nothing(promotion):
    promotion.candidate("b")
    decide(promotion.run("first"), "b")
    (promotion.home / promotion.models.get("b").path).write_bytes(b"")
    assert choose_model(promotion.run()).version == promotion.model.version
    assert decide(promotion.run("second"), promotion.model.version).action is Action.REJECTED
    with pytest.raises(ArtifactError):
        choose_model(promotion.run())


@pytest.mark.slow
def test_a_rollback_brings_back_the_champion_before_the_present_one(promotion):
    """Not the newest former one: that may be the model which was rolled back."""
    for name in ("b", "c", "d"):
        promotion.candidate(name)
    for name in (promotion.model.version, "b", "c"):
        decide(promotion.run(f"run-{name}"), name)
    undo = promotion.run("undo")
    assert choose_model(undo, rollback=True).version == "b"
    decide(undo, "b", rollback=True)
    assert choose_model(undo, rollback=True).version == "b", "a run that is cleared brings back the same one"
    decide(promotion.run("run-d"), "d")
    assert choose_model(promotion.run("next"), rollback=True).version == "b"


def test_after_the_first_champion_there_is_none_to_go_back_to(promotion):
    decide(promotion.run("first"), promotion.model.version)
    with pytest.raises(DataError, match="must have a former champion"):
        choose_model(promotion.run(), rollback=True)
