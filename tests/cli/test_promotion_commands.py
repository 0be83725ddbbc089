"""`loan-default evaluate`, `promote` and `rollback`, as a person types them, on a store with two models."""

import getpass
import json
import sys

import pytest
from conftest import SCHEMA
from pipelines.promotion_setup import LENIENT, PromotionSetup, trained_model

from loan_default.cli import main as cli
from loan_default.data.schema.schema_files import dump_schema
from loan_default.database.audit_repository import AuditRepository
from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository

pytestmark = pytest.mark.slow  # a model is trained first


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    with trained_model(tmp_path_factory.mktemp("home")) as (home, services, model):
        yield PromotionSetup(home, services, model)


@pytest.fixture
def shell(setup, monkeypatch, capsys):
    """Runs a command line on the store of the set-up: exit code, standard output, standard error."""
    schema = setup.home / "loans.toml"
    schema.write_text(dump_schema(SCHEMA))
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(setup.home))
    monkeypatch.setenv("LOAN_DEFAULT_SCHEMA", str(schema))
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    for name in LENIENT.__dataclass_fields__:
        monkeypatch.setenv(f"LOAN_DEFAULT_{name.upper()}", str(getattr(LENIENT, name)))
    for name in ("pointers", "decisions", "approvals"):
        setup.services.database[name].delete_many({})
    setup.services.database["model_metadata"].delete_many({"_id": {"$ne": setup.model.version}})

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loan-default", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def champion(setup) -> str | None:
    pointer = setup.models.champion()
    return None if pointer is None else pointer.version


def test_an_evaluation_shows_every_rule_and_moves_nothing(setup, shell):
    code, out, _ = shell("evaluate", setup.model.version[:15], "--json")
    found = json.loads(out)
    assert (code, found["passed"], found["version"]) == (0, True, setup.model.version)
    assert {rule["number"] for rule in found["rules"]} == set(range(1, 12))
    assert all(rule["sentence"] and rule["outcome"] in {"passed", "off"} for rule in found["rules"])
    assert champion(setup) is None
    assert DecisionRepository(setup.services.database).count() == 0
    code, out, _ = shell("evaluate")
    assert code == 0
    assert "certain lead" not in out
    assert "calibration slope" in out


def test_a_model_that_is_refused_has_an_exit_code_of_its_own(setup, shell, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_MINIMUM_AUC", "0.999")
    code, out, _ = shell("evaluate")
    assert code == 6
    assert "must be at least 0.9990" in out
    code, out, _ = shell("promote", setup.model.version, "--json")
    assert (code, json.loads(out)["action"]) == (6, "rejected")
    assert champion(setup) is None


def moved_by(setup):
    """Who moved the champion's pointer, by the audit trail."""
    trail = AuditRepository(setup.services.database).in_order()
    return [entry.who for entry in trail if entry.action == "promoted"]


def test_a_promotion_and_a_rollback_name_who_answers_for_them(setup, shell):
    setup.candidate("next")
    code, out, _ = shell("promote", setup.model.version)
    assert (code, champion(setup)) == (0, setup.model.version)
    assert "promoted" in out
    assert {who.split(",")[0] for who in moved_by(setup)} == {getpass.getuser()}
    # The same weights are no better: by default a challenger must be.
    code, out, _ = shell("promote", "next")
    assert (code, champion(setup)) == (6, setup.model.version)
    assert "the model must be better" in out
    approval = ("--approver", "R. Officer", "--reason", "new servers", "--expires", "2099-01-31")
    code, out, _ = shell("promote", "next", *approval, "--override", "certain_lead", "--json")
    decision = json.loads(out)
    assert (code, decision["action"], champion(setup)) == (0, "promoted", "next")
    assert {"certain_lead": "overridden", "approval": "passed"}.items() <= {
        rule["name"]: rule["outcome"] for rule in decision["rules"]
    }.items()
    _, out, _ = shell("models", "next")
    assert "approved by R. Officer" in out
    assert "overrides certain_lead: new servers" in out
    _, out, _ = shell("models", "next", "--json")
    assert json.loads(out)["approvals"][0]["expires_at"] == "2099-01-31T00:00:00Z"
    code, out, _ = shell("rollback", "--by", "R. Officer", "--reason", "complaints", "--json")
    decision = json.loads(out)
    assert (code, decision["action"], champion(setup)) == (0, Action.ROLLED_BACK, setup.model.version)
    assert decision["approval"].startswith(setup.model.version)


def test_a_rollback_to_a_model_that_was_never_decided_about_names_the_command_that_does_it(setup, shell):
    setup.candidate("waiting")
    code, _, errors = shell("rollback", "waiting", "--by", "R. Officer", "--reason", "complaints")
    assert code == 2
    assert "waiting waits for that. `loan-default promote`" in errors


def test_a_champion_that_the_gate_refuses_is_kept_with_the_same_exit_code(setup, shell, monkeypatch):
    model = setup.model
    assert setup.models.move_champion(model.version, model.sha256, seen_rev=0, seen_version=None)
    monkeypatch.setenv("LOAN_DEFAULT_MINIMUM_AUC", "0.999")
    assert shell("evaluate", model.version)[0] == 6
    code, out, _ = shell("promote", model.version, "--json")
    assert (code, json.loads(out)["action"], champion(setup)) == (6, "kept", model.version)


def test_a_rollback_to_the_champion_is_refused_and_nobody_answers_for_it(setup, shell):
    model = setup.model
    assert setup.models.move_champion(model.version, model.sha256, seen_rev=0, seen_version=None)
    before = DecisionRepository(setup.services.database).count()
    code, _, errors = shell("rollback", model.version, "--by", "R. Officer", "--reason", "complaints")
    assert (code, champion(setup)) == (2, model.version)
    assert "another model than the champion" in errors
    assert DecisionRepository(setup.services.database).count() == before
    assert setup.services.database["approvals"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--override", "lead"), "not given: --approver, --reason, --expires"),
        (("--approver", "A", "--override", "lead", "--reason", "x"), "not given: --expires"),
        (("--approver", "A", "--expires", "2099-01-01"), "not given: --reason"),
        (("--reason", "x", "--expires", "2099-01-01"), "not given: --approver"),
        (("--approver", " ", "--reason", "x", "--expires", "2099-01-01"), "must have an approver"),
        (("--approver", "A", "--reason", "x", "--expires", "2020-01-01"), "must expire later than now"),
        (
            ("--approver", "A", "--reason", "x", "--expires", "2099-01-01", "--override", "rows"),
            "must not be of number 1 or 2",
        ),
    ],
)
def test_an_override_without_name_reason_or_expiry_is_refused(setup, shell, words, match):
    code, _, errors = shell("promote", setup.model.version, *words)
    assert code == 2
    assert match in errors
    assert champion(setup) is None


def test_a_rollback_needs_a_name_and_a_reason(shell):
    for words in (("--by", "A"), ("--reason", "x")):
        code, _, errors = shell("rollback", *words)
        assert code == 2
        assert "Missing option" in errors
