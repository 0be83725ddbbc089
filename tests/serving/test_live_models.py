"""Models that take over while they are asked: no answer fails, and each is that of the version it names."""

import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from serving.conftest import Saved, model_of, save_and_derive

from loan_default.data.schema.language import Schema
from loan_default.database.documents import ModelMetadata
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.experiment_documents import Experiment, Mode
from loan_default.database.repositories import ModelRepository
from loan_default.database.serving_documents import Group
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.errors import ArtifactError, DependencyError
from loan_default.models.artifact import digest_path
from loan_default.models.model import LoanModel, golden_rows_of, save_model
from loan_default.serving.lineup import Scorer
from loan_default.serving.live_models import LiveModels, Refusal
from loan_default.serving.scorer import load_scorer
from loan_default.serving.wanted_models import WantedModel, one_file, one_registered_model, registered_models

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Home:
    """Registered models over an embedded store, and the pointer among them."""

    def __init__(self, home: Path, schema: Schema, frame: pd.DataFrame) -> None:
        self.home, self.schema, self.frame = home, schema, frame
        self.database = EmbeddedDatabase(home / "documents.sqlite3")
        self.models = ModelRepository(self.database)
        self.offline: dict[str, NDArray[np.float64]] = {}
        """Version -> PDs of the frame by torch."""
        self.published: list[Refusal] = []

    def model(self, number: int) -> LoanModel:
        version = f"20261129-12{number // 60:02}{number % 60:02}-abcdef"
        return model_of(self.schema, self.frame, seed=number, version=version)

    def register(self, model: LoanModel, saved: Saved) -> ModelMetadata:
        document = ModelMetadata(
            version=model.version,
            created_at=NOON + timedelta(seconds=len(self.models.ids())),
            path=saved.path.relative_to(self.home).as_posix(),
            sha256=saved.sha256,
            schema_name=self.schema.name,
            schema_digest=self.schema.digest,
            preset="fast",
            objective="supervised",
            pretrained=False,
            members=2,
            parameters=1,
            rows={"train": 1, "validation": 1, "test": 1},
            seed=0,
            code_version="0.2.0",
            libraries={},
            training_seconds=1.0,
            snapshot="a" * 12,
        )
        self.models.add(document)
        return document

    def good(self, number: int) -> ModelMetadata:
        model = self.model(number)
        self.offline[model.version] = model.predict_pd(self.frame)
        return self.register(model, save_and_derive(model, self.home))

    def damaged(self, number: int, change: Callable[[Path], object]) -> ModelMetadata:
        model = self.model(number)
        saved = save_and_derive(model, self.home)
        change(saved.path)
        return self.register(model, saved)

    def promote(self, model: ModelMetadata) -> None:
        seen = self.models.champion()
        rev, version = (0, None) if seen is None else (seen.rev, seen.version)
        assert self.models.move_champion(model.version, model.sha256, seen_rev=rev, seen_version=version)

    def load(self, model: WantedModel) -> Scorer:
        return load_scorer(
            model.path, version=model.version, sha256=model.sha256, cache=self.home / "serving"
        )

    def live(self, *, seconds: float = 0.01) -> LiveModels:
        source = registered_models(self.database, self.home)
        return LiveModels(source, self.load, on_refused=self.published.append, seconds=seconds)


@pytest.fixture
def home(tmp_path: Path, schema: Schema, frame: pd.DataFrame) -> Iterator[Home]:
    made = Home(tmp_path, schema, frame)
    yield made
    made.database.close()


def champion_of(live: LiveModels) -> str:
    assert live.lineup is not None
    return live.lineup.champion.version


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES: list[Callable[[Path], object]] = [
    flip_a_bit,
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(bytes(path.stat().st_size)),
    lambda path: path.unlink(),
]


def with_nan(home: Home, number: int) -> ModelMetadata:
    """A model with NaN among its weights, registered with the digest that its file has."""
    model = home.model(number)
    saved = save_and_derive(model, home.home)
    payload = torch.load(saved.path, weights_only=True)
    payload["members"][0]["bias"][0] = torch.nan
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    saved.path.write_bytes(buffer.getvalue())
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    digest_path(saved.path).write_text(sha256)
    return home.register(model, saved._replace(sha256=sha256))


def with_other_weights(home: Home, number: int) -> ModelMetadata:
    """A model that gives its golden rows other PDs than its training stored."""
    model = home.model(number)
    golden = golden_rows_of(home.model(number + 500))
    path = home.home / "models" / f"{model.version}.pth"
    sha256 = save_model(path, replace(model, golden=golden))
    return home.register(model, Saved(path, sha256, home.home / "serving"))


@pytest.mark.slow
def test_a_hundred_swaps_under_load_with_every_fifth_to_a_bad_model(home: Home) -> None:
    good = [home.good(number) for number in range(4)]
    bad = [home.damaged(10 + at, DAMAGES[at % len(DAMAGES)]) for at in range(18)]
    bad += [with_nan(home, 40), with_other_weights(home, 41)]
    home.promote(good[0])
    live = home.live()
    live.refresh()
    live.start()
    with asking(home, live) as asked:
        slowest = swap_a_hundred_times(home, live, good, bad)
    live.close()
    assert asked.failures == []
    assert min(asked.answers.values()) > 0, "each model must have answered"
    assert [each.model.version for each in home.published] == [each.version for each in bad]
    assert live.looks.refusals == 20
    assert slowest < 5, f"a swap took {slowest:.2f} s"


def swap_a_hundred_times(
    home: Home, live: LiveModels, good: list[ModelMetadata], bad: list[ModelMetadata]
) -> float:
    """Every fifth swap is to a bad model; returns the seconds that the slowest of the others took."""
    slowest = 0.0
    for swap in range(100):
        is_bad = swap % 5 == 4
        model = bad[swap // 5] if is_bad else good[(swap + swap // 5) % len(good)]
        before, refused, started = champion_of(live), len(home.published), time.monotonic()
        home.promote(model)
        while time.monotonic() < started + 200:  # two are refused by a process with torch
            if len(home.published) > refused if is_bad else champion_of(live) == model.version:
                break
            time.sleep(0.005)
        if is_bad:
            assert len(home.published) == refused + 1, model.version
            assert champion_of(live) == before, "the last good one stays"
        else:
            assert champion_of(live) == model.version
            slowest = max(slowest, time.monotonic() - started)
    return slowest


@dataclass
class Asked:
    """What became of the answers."""

    answers: dict[str, int]
    """Version -> rows."""
    failures: list[str] = field(default_factory=list)


@contextmanager
def asking(home: Home, live: LiveModels) -> Iterator[Asked]:
    """Two threads that ask for PDs all the time, and compare each with that of the version that it names."""
    stop, asked, records = threading.Event(), Asked(dict.fromkeys(home.offline, 0)), canonical(home.frame)

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.wait(0.001):
            rows = rng.choice(len(records), size=rng.integers(1, 16), replace=False)
            try:
                lineup = live.lineup
                assert lineup is not None
                scorer = lineup.champion
                pds = scorer.score([records[row] for row in rows])
                np.testing.assert_allclose(pds, home.offline[scorer.version][rows], atol=1e-6, rtol=0)
                asked.answers[scorer.version] += len(rows)
            except Exception as error:
                asked.failures.append(repr(error))

    threads = [threading.Thread(target=ask, args=[seed]) for seed in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def canonical(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [
        {
            str(name): each.to_pydatetime() if isinstance(each, pd.Timestamp) else each
            for name, each in row.items()
        }
        for row in rows
    ]


@pytest.mark.slow
def test_without_a_pointer_the_newest_model_answers_and_then_the_champion(home: Home) -> None:
    older, newer = home.good(1), home.good(2)
    live = home.live()
    assert live.lineup is None
    assert not live.is_ready
    live.refresh()
    assert live.is_ready
    assert champion_of(live) == newer.version
    home.promote(older)
    live.refresh()
    assert champion_of(live) == older.version
    assert (live.looks.swaps, live.looks.refusals) == (2, 0)


@pytest.mark.slow
def test_what_did_not_change_is_not_loaded_again(home: Home) -> None:
    home.promote(home.good(1))
    live = home.live()
    live.refresh()
    lineup = live.lineup
    live.refresh()
    assert live.lineup is lineup
    assert live.looks.swaps == 1


@pytest.mark.slow
def test_a_bad_champion_at_the_start_leaves_nobody_to_answer_and_is_refused_once(home: Home) -> None:
    bad = home.damaged(1, flip_a_bit)
    home.promote(bad)
    live = home.live()
    for _ in range(3):
        live.refresh()
    assert not live.is_ready
    assert [each.model.version for each in home.published] == [bad.version]
    assert "recorded digest" in home.published[0].reason
    home.promote(home.good(2))
    live.refresh()
    assert live.is_ready


@pytest.mark.slow
def test_a_refusal_that_cannot_be_published_is_published_later(home: Home) -> None:
    home.promote(home.damaged(1, flip_a_bit))
    is_away = True

    def publish(refusal: Refusal) -> None:
        if is_away:
            raise DependencyError("the broker is away")
        home.published.append(refusal)

    live = LiveModels(registered_models(home.database, home.home), home.load, on_refused=publish)
    live.refresh()
    live.refresh()
    assert home.published == []
    is_away = False
    live.refresh()
    live.refresh()
    assert len(home.published) == 1


@pytest.mark.slow
def test_a_store_that_is_away_and_one_without_models_leave_the_lineup_as_it_is(home: Home) -> None:
    live = home.live()
    live.refresh()
    assert (live.is_ready, live.looks.failures) == (False, 1)
    home.promote(home.good(1))
    is_away = False
    source = registered_models(home.database, home.home)

    def wanted() -> Any:
        if is_away:
            raise DependencyError("the database is away")
        return source()

    live = LiveModels(wanted, home.load, on_refused=home.published.append)
    live.refresh()
    lineup, is_away = live.lineup, True
    live.refresh()
    assert live.lineup is lineup is not None
    assert live.looks.failures == 1


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_now_is_tried_again_later(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = home.good(1), home.good(2)
    tries = []

    def load(model: WantedModel) -> Scorer:
        tries.append(model.version)
        if model.version == second.version and tries.count(model.version) < 2:
            raise DependencyError("no memory")
        return home.load(model)

    live = LiveModels(registered_models(home.database, home.home), load, on_refused=home.published.append)
    home.promote(first)
    live.refresh()
    home.promote(second)
    live.refresh()
    live.refresh()
    assert tries == [first.version, second.version], "not before the pause is over"
    assert champion_of(live) == first.version
    monkeypatch.setattr("loan_default.serving.live_models.time.monotonic", lambda: 1e12)
    live.refresh()
    assert champion_of(live) == second.version
    assert home.published == []


# Experiments


def experiment_of(champion: ModelMetadata, challenger: ModelMetadata, **changes: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "experiment": "e-1",
            "champion": champion.version,
            "challenger": challenger.version,
            "challenger_digest": challenger.sha256,
            "mode": Mode.SHARE,
            "share": 0.5,
            "started_at": NOON,
            "started_by": "risk",
        }
        | changes
    )


@pytest.mark.slow
def test_a_challenger_takes_part_while_its_experiment_runs(home: Home) -> None:
    first, second = home.good(1), home.good(2)
    home.promote(first)
    live, experiments = home.live(), ExperimentRepository(home.database)
    live.refresh()
    assert live.lineup is not None
    assert live.lineup.trial is None
    experiments.begin(experiment_of(first, second))
    live.refresh()
    trial = live.lineup.trial
    assert trial is not None
    assert (trial.id, trial.mode, trial.share, trial.challenger.version) == (
        "e-1", Mode.SHARE, 0.5, second.version,
    )  # fmt: skip
    groups = {live.lineup.group_of(f"person {number}") for number in range(50)}
    assert groups == {Group.CHAMPION, Group.CHALLENGER}
    experiments.grow("e-1", 0.8)
    live.refresh()
    assert live.lineup.trial is not None
    assert live.lineup.trial.share == 0.8
    assert live.lineup.trial.challenger is trial.challenger, "what is loaded stays"
    experiments.end("e-1", by="risk", now=NOON)
    live.refresh()
    assert live.lineup.trial is None


@pytest.mark.slow
def test_a_bad_challenger_is_refused_and_the_champion_answers_for_all(home: Home) -> None:
    first, bad = home.good(1), home.damaged(2, flip_a_bit)
    home.promote(first)
    ExperimentRepository(home.database).begin(experiment_of(first, bad))
    live = home.live()
    live.refresh()
    live.refresh()
    assert live.lineup is not None
    assert live.lineup.trial is None
    assert [each.model.version for each in home.published] == [bad.version]


@pytest.mark.slow
def test_an_experiment_of_a_champion_that_was_refused_runs_beside_no_other(home: Home) -> None:
    first, bad, second = home.good(1), home.damaged(2, flip_a_bit), home.good(3)
    home.promote(first)
    live = home.live()
    live.refresh()
    home.promote(bad)
    ExperimentRepository(home.database).begin(experiment_of(bad, second))
    live.refresh()
    assert champion_of(live) == first.version
    assert live.lineup is not None
    assert live.lineup.trial is None


@pytest.mark.slow
def test_a_challenger_that_was_promoted_is_no_challenger_any_more(home: Home) -> None:
    first, second = home.good(1), home.good(2)
    home.promote(first)
    ExperimentRepository(home.database).begin(experiment_of(first, second))
    live = home.live()
    live.refresh()
    assert live.lineup is not None
    assert live.lineup.trial is not None
    challenger = live.lineup.trial.challenger
    home.promote(second)
    live.refresh()
    assert live.lineup.trial is None
    assert live.lineup.champion is challenger, "it is not loaded again"


# One model by its name


@pytest.mark.slow
def test_one_registered_model_and_one_file_answer_whatever_the_pointer_says(home: Home) -> None:
    first, second = home.good(1), home.good(2)
    home.promote(first)
    path = home.home / second.path
    for source in (one_registered_model(second, home.home), one_file(path, sha256=None)):
        live = LiveModels(source, home.load, on_refused=home.published.append)
        live.refresh()
        assert champion_of(live) == second.version
    digest_path(path).unlink()
    with pytest.raises(ArtifactError, match="must come with its digest"):
        one_file(path, sha256=None)
    one_file(path, sha256=second.sha256)


@pytest.mark.slow
def test_the_thread_looks_at_once_when_it_is_asked_to(home: Home) -> None:
    home.promote(home.good(1))
    live = home.live(seconds=60)
    live.refresh()
    live.start()
    second = home.good(2)
    home.promote(second)
    live.look_now()
    deadline = time.monotonic() + 30
    while champion_of(live) != second.version and time.monotonic() < deadline:
        time.sleep(0.01)
    live.close()
    assert champion_of(live) == second.version
