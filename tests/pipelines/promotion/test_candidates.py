"""Which model is judged, and which one a rollback brings back."""

import shutil
from dataclasses import replace

import pytest
from pipelines.court import judged

from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.errors import ArtifactError, DataError
from loan_default.pipelines.promotion.candidates import choose_model


def test_which_model_is_judged(court):
    assert choose_model(court.run(), version=court.model.version).why == "asked for"
    newer = court.candidate("newer")
    assert choose_model(court.run()).version == "newer"
    judged(court.run(), "newer")
    assert choose_model(court.run()).version == court.model.version, "the one that still waits"
    court.models.set_status(court.model.version, ModelStatus.REJECTED)
    chosen = choose_model(court.run())
    assert (chosen.version, "champion" in chosen.why) == (newer.version, True)
    with pytest.raises(DataError, match="former champion"):
        choose_model(court.run(), rollback=True)
    with pytest.raises(DataError, match="must hold what is asked for"):
        choose_model(court.run(), version="unknown")


def test_a_damaged_model_is_rejected_and_keeps_no_other_from_being_judged(court):
    damaged = court.candidate("damaged")
    path = court.home / damaged.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        choose_model(court.run(), version="damaged")
    assert court.models.get("damaged").status is ModelStatus.TRAINED
    for _ in range(2):
        assert choose_model(court.run()).version == court.model.version
    assert court.models.get("damaged").status is ModelStatus.REJECTED
    (decision,) = DecisionRepository(court.services.database).newest_first()
    assert (decision.version, decision.action, decision.snapshot) == ("damaged", Action.REJECTED, None)
    assert "recorded digest" in decision.broken[0]
    assert court.models.champion() is None


def test_a_machine_without_any_models_rejects_none(court, tmp_path):
    shutil.copytree(court.home, tmp_path / "home", ignore=shutil.ignore_patterns("models"))
    with pytest.raises(ArtifactError):
        choose_model(replace(court.run(), home=tmp_path / "home"))
    assert court.models.get(court.model.version).status is ModelStatus.TRAINED


def test_a_damaged_champion_is_no_reason_to_judge_nothing(court):
    court.candidate("b")
    judged(court.run("first"), "b")
    (court.home / court.models.get("b").path).write_bytes(b"")
    assert choose_model(court.run()).version == court.model.version
    assert judged(court.run("second"), court.model.version).action is Action.REJECTED
    with pytest.raises(ArtifactError):
        choose_model(court.run())


@pytest.mark.slow
def test_a_rollback_brings_back_the_champion_before_the_present_one(court):
    """Not the newest former one: that may be the model which was rolled back."""
    for name in ("b", "c", "d"):
        court.candidate(name)
    for name in (court.model.version, "b", "c"):
        judged(court.run(f"run-{name}"), name)
    undo = court.run("undo")
    assert choose_model(undo, rollback=True).version == "b"
    judged(undo, "b", rollback=True)
    assert choose_model(undo, rollback=True).version == "b", "a run that is cleared brings back the same one"
    judged(court.run("run-d"), "d")
    assert choose_model(court.run("next"), rollback=True).version == "b"


def test_after_the_first_champion_there_is_none_to_go_back_to(court):
    judged(court.run("first"), court.model.version)
    with pytest.raises(DataError, match="must have a former champion"):
        choose_model(court.run(), rollback=True)
