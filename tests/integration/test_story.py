"""The whole story on genuine servers: a champion, drift, a training by itself, the gate, a person, the swap.

Then a model that is worse is refused. Nothing here stands in for anything: Kafka, a document store, Airflow
with its scheduler, the listener of commands and a server of scores run as processes.
"""

import os
import signal
from collections.abc import Iterator

import orjson
import pytest
from integration.stack import Stack, patiently, running_stack
from servers.airflow import ADMIN
from serving_processes import HttpProcess, serving

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.database.audit_repository import AuditRepository
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import CommandRepository, DecisionRepository
from loan_default.database.documents import ModelMetadata, ModelStatus
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.repositories import ModelRepository
from loan_default.kafka.control_events import FactType
from loan_default.kafka.topics import COMMANDS
from loan_default.thresholds import RuleOutcome

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 1_200
DRIFTED_ROWS = 2_000
QUICKLY = ("--preset", "fast", "--epochs", "1", "--members", "1")
SETTINGS = {
    "PRESET": "fast",
    "RETRAIN_ON_DRIFT": "act",
    "APPROVAL": "required",
    "COOLDOWN_DAYS": "0.00001",
    "SEGMENTS": "EDUCATION",
    "POLICY_PROFILE": "eu",
    "MINIMUM_ROWS": "100",
    "MINIMUM_BADS": "20",
    "MINIMUM_AUC": "0.55",
    "MINIMUM_KS": "0.05",
    "MINIMUM_SEGMENT_ROWS": "50",
    # Few rows and few epochs: their PDs are rough, and they differ from those of the champion.
    "MAXIMUM_CALIBRATION_ERROR": "0.2",
    "MAXIMUM_CALIBRATION_SHIFT": "2",
    "MINIMUM_CALIBRATION_SLOPE": "0.2",
    "MAXIMUM_CALIBRATION_SLOPE": "5",
    "MAXIMUM_SEGMENT_GAP": "0.5",
    "MAXIMUM_FALLS": "1",
    "MAXIMUM_SCORE_PSI": "2",
    "MAXIMUM_COLUMN_PSI": "2",
    "MAXIMUM_MEAN_PD_CHANGE": "1",
    "MAXIMUM_APPROVAL_CHANGE": "1",
}


@pytest.fixture
def stack(tmp_path, monkeypatch) -> Iterator[Stack]:
    """All servers; the settings are those of the tasks and of each command."""
    schema = tmp_path / "credit_card.toml"
    limit = '[columns.LIMIT_BAL]\nkind = "numerical"\n'
    text = BUNDLED_SCHEMA.read_text("utf-8")
    assert limit in text
    schema.write_text(text.replace(limit, f'{limit}monotonic = "decreasing"\n'), "utf-8")
    given = SETTINGS | {"SCHEMA": str(schema)}
    environ = {f"LOAN_DEFAULT_{name}": value for name, value in given.items()}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with running_stack(tmp_path, environ=environ) as stack:
        for name, value in stack.airflow.environment.items():
            monkeypatch.setenv(name, value)
        # The runs of this day find nothing yet; from here on each run has a cause of its own.
        dags = ("model_training", "model_evaluation")
        for dag in dags:
            stack.airflow.unpause(dag)
        for dag in dags:
            daily = stack.run_of_type(dag, "scheduled")
            assert set(stack.finish(dag, daily).values()) == {"skipped"}
        yield stack


def test_drift_ends_in_a_new_champion_by_the_word_of_a_person_and_a_worse_model_is_refused(stack):
    models = ModelRepository(stack.database)
    champion = first_champion(stack)
    with serving(stack.world.home, servers=servers(stack)) as server:
        assert scored_by(server) == champion.version

        challenger, evaluation = retrained_after_drift(stack, champion)
        question = stack.question(evaluation)
        assert champion.version in question["subject"]
        assert scored_by(server) == champion.version, "nothing moves before the answer"
        assert stack.answer(evaluation, "Approve", reason="the applicants have changed").status_code == 200
        stack.finish("model_evaluation", evaluation)

        decision = newest_decision(stack, challenger.version)
        assert (decision.action, decision.champion) == (Action.PROMOTED, champion.version)
        check_rules(decision)
        (approval,) = ApprovalRepository(stack.database).of_model(challenger.version)
        assert decision.approval == approval.id
        assert (approval.approver, approval.reason) == (ADMIN, "the applicants have changed")
        patiently(lambda: scored_by(server) == challenger.version, seconds=60)
        check_audit(stack, challenger.version)

        worse = worse_model(stack)
        evaluation = stack.airflow.trigger("model_evaluation")
        assert stack.finish("model_evaluation", evaluation)["ask_for_approval"] == "skipped"
        refused = newest_decision(stack, worse.version)
        assert (refused.action, refused.champion) == (Action.REJECTED, challenger.version)
        lead = next(rule for rule in refused.rules if rule.name == "lead")
        assert (lead.outcome, lead.value is not None and lead.value < 0) == (RuleOutcome.FAILED, True)
        assert f"failed: {lead.sentence}" in refused.broken
        assert models.get(worse.version).status is ModelStatus.REJECTED
        assert models.champion().version == challenger.version
        assert scored_by(server) == challenger.version
    published = facts(stack)
    for kind, version in (
        (FactType.DRIFTED, champion.version),
        (FactType.PROMOTED, challenger.version),
        (FactType.REJECTED, worse.version),
    ):
        assert len([data for found, data in published if (found, data["version"]) == (kind, version)]) >= 1
    (reasons,) = (data["reasons"] for kind, data in published if kind == FactType.REJECTED)
    assert reasons == list(refused.broken)
    run(stack, "audit", "verify")


def first_champion(stack: Stack) -> ModelMetadata:
    """A model of the first applicants that a person has promoted by the command."""
    world, models = stack.world, ModelRepository(stack.database)
    run(stack, "ingest", "--generate", str(ROWS), "--seed", "1")
    train(stack)
    (model,) = models.newest_first()
    words = ("--approver", "R. Officer", "--reason", "the first model", "--expires", "2099-12-31")
    run(stack, "promote", model.version, *words)
    champion = models.champion()
    assert champion is not None, world.home
    assert (champion.version, champion.rev) == (model.version, 1)
    return model


def retrained_after_drift(stack: Stack, champion: ModelMetadata) -> tuple[ModelMetadata, str]:
    """Other applicants arrive: an alarm, a training that nobody asked for, and its evaluation."""
    models = ModelRepository(stack.database)
    listener = stack.world.start("commands")
    run(stack, "ingest", "--generate", str(DRIFTED_ROWS), "--seed", "2")
    (alarm,) = (data for kind, data in facts(stack) if kind == FactType.DRIFTED)
    assert (alarm["version"], alarm["level"], alarm["rows"]) == (champion.version, "act", DRIFTED_ROWS)
    assert alarm["signals"]

    commands = CommandRepository(stack.database)
    patiently(lambda: commands.count() == 1, seconds=60)
    (command,) = commands.newest_first()
    assert command.command.startswith(f"drift-{champion.version}-")
    stack.finish("model_training", f"command__{command.command}", seconds=400)
    listener.send_signal(signal.SIGTERM)
    assert listener.wait(60) == 0
    (challenger,) = (model for model in models.newest_first() if model.version != champion.version)
    evaluation = stack.run_of_type("model_evaluation", "asset_triggered")
    return challenger, evaluation


def worse_model(stack: Stack) -> ModelMetadata:
    """A model of one pass over the same applicants, which waits for its evaluation."""
    models = ModelRepository(stack.database)
    known = {model.version for model in models.newest_first()}
    train(stack)
    (model,) = (model for model in models.newest_first() if model.version not in known)
    return model


def check_rules(decision: Decision) -> None:
    """All eleven rules are stored: their values and limits, what they were computed from, and a sentence."""
    checked = [rule for rule in decision.rules if rule.outcome is not RuleOutcome.OFF]
    assert {rule.number for rule in checked} == set(range(1, 12))
    for rule in checked:
        assert rule.outcome is RuleOutcome.PASSED, rule
        assert rule.data, rule
        assert rule.sentence.endswith("."), rule
        if rule.name != "approval":  # a person is no number
            assert rule.value is not None, rule
            assert rule.threshold is not None, rule
    intervals = {rule.name for rule in checked if rule.interval and rule.interval[0] < rule.interval[1]}
    assert {"auc", "certain_lead", "segment_lead", "fairness"} <= intervals
    assert [rule.data for rule in checked if rule.name == "approval"] == [decision.approval]


def check_audit(stack: Stack, version: str) -> None:
    """The approval was recorded before the decision, and that before the promotion."""
    trail = [each for each in AuditRepository(stack.database).in_order() if each.version == version]
    assert [str(each.action) for each in trail] == ["registered", "approved", "decided", "promoted"]
    assert trail[1].who == ADMIN


def newest_decision(stack: Stack, version: str) -> Decision:
    return DecisionRepository(stack.database).of_model(version)[0]


def facts(stack: Stack) -> list[tuple[str, dict[str, object]]]:
    """What was published on `commands`, in order."""
    records = [
        ((record.header("ce_type") or b"").decode(), record.value) for record in stack.world.records(COMMANDS)
    ]
    return [(kind, orjson.loads(value)) for kind, value in records if kind in set(FactType)]


def scored_by(server: HttpProcess) -> str:
    """Version of the model that answers over HTTP."""
    response = server.http.post(f"{server.url}/v1/scores", json=server.example).raise_for_status()
    return str(response.json()["model"]["version"])


def servers(stack: Stack) -> dict[str, str]:
    return {**stack.world.kafka.environment, **stack.world.ferretdb.environment}


def train(stack: Stack) -> None:
    """Train one network for one pass on what was ingested."""
    schema = os.environ["LOAN_DEFAULT_SCHEMA"]
    run(stack, "train", "--train", "--data", "store:", "--schema", schema, *QUICKLY)


def run(stack: Stack, *words: str) -> None:
    """Run a command that must succeed."""
    status = stack.world.run(*words)
    assert status == 0, (words, (stack.world.home / "commands.log").read_text()[-4000:])
