"""What an experiment on live applications says to the gate."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pipelines.promotion_setup import AS_GOOD, LENIENT, decide, evaluated

from loan_default.data.datasets.store_parts import OUTCOME, StoredEvent, write_part
from loan_default.database.control_documents import Action
from loan_default.database.experiment_documents import Experiment, Mode
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Group, Prediction
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion.comparison import check_thresholds
from loan_default.thresholds import GatePolicy, RuleOutcome

LIVE = GatePolicy(demand="better", lead_from="live")
PEOPLE = 3_000
NOON = datetime.now(UTC)


@pytest.fixture(autouse=True)
def nothing_live(promotion):
    for name in ("experiments", "predictions"):
        promotion.services.database[name].delete_many({})


def pds_of(risk, generator, *, noise):
    return 1 / (1 + np.exp(1.2 - 1.5 * (risk + noise * generator.normal(size=len(risk)))))


def experiment(promotion, challenger, *, name, noise, mode=Mode.SHADOW, at=NOON):
    """People whom both models scored, by the noise with which each sees their risk, and their outcomes."""
    database, generator = promotion.services.database, np.random.default_rng(1)
    documents = ExperimentRepository(database)
    started = Experiment(
        experiment=name,
        champion=promotion.model.version,
        challenger=challenger.version,
        challenger_digest=challenger.sha256,
        mode=mode,
        share=1.0,
        started_at=at,
        started_by="a",
        planned_outcomes=2_000,
        ended_at=at + timedelta(days=1),
        ended_by="a",
    )
    documents.add(started)
    risk = generator.normal(size=PEOPLE)
    seen = {
        Group.CHAMPION: (started.champion, pds_of(risk, generator, noise=noise[0])),
        Group.SHADOW: (started.challenger, pds_of(risk, generator, noise=noise[1])),
    }
    PredictionRepository(database).add_new(
        [
            Prediction(
                event=f"{name}-{number}",
                application=f"{name}-{number}",
                version=version,
                digest="ab" * 32,
                pd=float(pd),
                points=500.0,
                group=group,
                experiment=name,
                door=Door.STREAM,
                scored_at=at,
            )
            for group, (version, pds) in seen.items()
            for number, pd in enumerate(pds)
        ]
    )
    outcomes = (generator.random(PEOPLE) < pds_of(risk, generator, noise=0)).astype(float)
    first = documents.count() * 1_000_000
    write_part(
        promotion.home / TRAINING_STORE,
        topic="processed_data",
        partition=7,
        first=first,
        next=first + PEOPLE,
        rows=[
            StoredEvent(f"o-{name}-{number}", OUTCOME, f"{name}-{number}", NOON, {"label": float(label)})
            for number, label in enumerate(outcomes)
        ],
    )
    return started


def live_rule_of(decision):
    return next(rule for rule in decision.rules if rule.name == "live_lead")


def with_champion(promotion, name):
    decide(promotion.run("first", thresholds=LENIENT), promotion.model.version)
    return promotion.candidate(name)


@pytest.mark.slow
def test_a_lead_on_live_applications_promotes_where_the_policy_takes_it_from_there(promotion):
    challenger = with_champion(promotion, "live-better")
    refused = decide(promotion.run("before", policy=LIVE), challenger.version)
    assert refused.action is Action.REJECTED
    assert "loan-default challenge" in live_rule_of(refused).sentence
    experiment(promotion, challenger, name="x-better", noise=(3, 0.1))
    decision = decide(promotion.run("after", policy=LIVE), challenger.version)
    rule = live_rule_of(decision)
    # The two have the same weights: on rows that neither has seen there is no lead that could promote one.
    assert (decision.action, rule.outcome) == (Action.PROMOTED, RuleOutcome.PASSED)
    assert (rule.number, rule.data) == (4, "x-better")
    assert rule.interval[0] > 0
    assert "3,000 outcomes are known, of 2,000 that were planned" in rule.sentence


@pytest.mark.slow
def test_an_experiment_that_the_champion_wins_speaks_against_a_model_that_is_as_good_elsewhere(promotion):
    challenger = with_champion(promotion, "live-worse")
    experiment(promotion, challenger, name="x-worse", noise=(0.1, 3))
    decision = decide(promotion.run("worse", policy=AS_GOOD), challenger.version)
    assert decision.action is Action.REJECTED
    assert [rule.name for rule in decision.rules if rule.outcome is RuleOutcome.FAILED] == ["live_lead"]


@pytest.mark.slow
def test_the_newest_experiment_counts_and_each_further_one_has_a_wider_interval(promotion):
    challenger = with_champion(promotion, "live-again")
    widths = []
    for number in range(3):
        name = f"x-{'again' * (number + 1)}"
        experiment(promotion, challenger, name=name, noise=(1, 0.5), at=NOON + timedelta(days=number))
        run = promotion.run(f"again-{number}", policy=AS_GOOD)
        rule = live_rule_of(check_thresholds(run, evaluated(run, challenger.version)))
        assert rule.data == name
        widths.append(rule.interval[1] - rule.interval[0])
    assert widths == sorted(widths)
    assert widths[0] < widths[2] * 0.98


@pytest.mark.slow
def test_experiments_of_other_pairs_say_nothing(promotion):
    challenger = with_champion(promotion, "live-other")
    experiment(promotion, promotion.candidate("somebody-else"), name="x-other", noise=(3, 0.1))
    decision = decide(promotion.run("other", policy=AS_GOOD), challenger.version)
    assert live_rule_of(decision).outcome is RuleOutcome.OFF
