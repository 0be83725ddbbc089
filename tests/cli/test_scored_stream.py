"""`score --follow`: what it refuses, and what it prints of a stream."""

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from loan_default.cli.scored_stream import print_scored_stream, ready_lineup_of, sign_of_life
from loan_default.errors import ArtifactError, DependencyError
from loan_default.serving.lineup import Lineup
from loan_default.serving.stream_scoring import Scored

INPUT = 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--follow",), "KAFKA_BOOTSTRAP_SERVERS must be set for score --follow"),
        (("--follow", "--data", "a.csv"), "--follow must come without --data"),
        (("--follow", "--out", "b.csv"), "--follow must come without --out"),
        (("--follow", "--model", "m.pth"), "--follow must come without --model"),
        (("--follow", "--sha256", "0" * 64), "--follow must come without --sha256"),
        (("--follow", "--quarantine", "q.csv"), "--follow must come without --quarantine"),
        (("--data", "a.csv", "--out", "b.csv", "--alive", "c"), "--alive must come with --follow"),
        ((), "Missing option '--data'"),
        (("--data", "a.csv"), "Missing option '--out'"),
    ],
)
def test_what_cannot_be_meant_is_one_line(shell, words, reason):
    code, _, errors = shell("score", *words)
    assert code == INPUT
    assert reason in errors
    assert "Traceback" not in errors


def test_each_count_of_a_stream_is_printed():
    console = Console(file=io.StringIO(), width=200)
    print_scored_stream(
        console, Scored(consumed=1_010, scored=1_000, repeated=4, outcomes=5, refused=1, shadowed=300)
    )
    text = console.file.getvalue()
    assert "1,010 records: 1,000 scored, 4 sent again, 5 outcomes, 1 rejected" in text
    assert "300 predictions of a challenger" in text
    assert "processed_data.dlq" in text
    quiet = Console(file=io.StringIO(), width=200)
    print_scored_stream(quiet, Scored(consumed=2, scored=2))
    assert "processed_data.dlq" not in quiet.file.getvalue()
    assert "challenger" not in quiet.file.getvalue()


@dataclass
class Champion:
    """A model that scores its golden rows for some times."""

    left: int
    checks: int = 0

    def check_golden_rows(self) -> None:
        self.checks += 1
        if self.checks > self.left:
            raise ArtifactError("golden rows must have the PDs that their training stored")


@dataclass
class Live:
    lineup: Lineup | None = None


def test_a_sign_of_life_is_given_only_while_the_model_scores_its_golden_rows(tmp_path):
    file, live, clock = tmp_path / "alive", Live(), iter((0.0, 1.0, 20.0))
    show = sign_of_life(file, live, clock=lambda: next(clock))
    show()  # no model yet
    assert file.exists()
    champion = Champion(left=1)
    live.lineup = Lineup(champion=champion)
    for checks in (1, 1):  # a second later it is not checked again
        file.unlink()
        show()
        assert file.exists()
        assert champion.checks == checks
    file.unlink()
    with pytest.raises(ArtifactError):
        show()
    assert not file.exists()


def test_a_batch_waits_until_there_is_a_model():
    with pytest.raises(DependencyError, match="a model must be loaded"):
        ready_lineup_of(Live())
    lineup = Lineup(champion=Champion(left=0))
    assert ready_lineup_of(Live(lineup)) is lineup
