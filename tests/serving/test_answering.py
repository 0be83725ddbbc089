"""Records in, answers out: the model's own PDs, the right group, and the documents that are kept."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from serving_setup import SCHEMA, record_of, slow_scorer

from loan_default.data.schema.records import RecordError, records_frame, validate_record
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.database.experiment_documents import Mode
from loan_default.database.serving_documents import Door, Group
from loan_default.evaluation.metrics import score_points
from loan_default.serving.answering import Answer, answer, digested_columns, features_digest, shadow
from loan_default.serving.lineup import Lineup, Trial

NOON = datetime(2026, 11, 29, 12, 0, 0, 123000, tzinfo=UTC)
RECORDS = [record_of(f"p-{number}", debt=number % 90) for number in range(60)]
STRICT = schema_from_dict(
    {
        "name": "stricter",
        "columns": {
            "loan": {"kind": "identifier", "optional": True, "nullable": True},
            "income": {"kind": "numerical", "minimum": 0, "maximum": 5, "nullable": True},
            "debt": {"kind": "numerical", "minimum": 0, "maximum": 100},
            "purpose": {"kind": "categorical", "categories": ["car", "house", "study", "boat"]},
            "default": {"kind": "target"},
        },
    }
)


@pytest.fixture(scope="module")
def champion():
    return slow_scorer("v1", seed=1)


@pytest.fixture(scope="module")
def challenger():
    return slow_scorer("v2", seed=2)


def asked(lineup, records=RECORDS, **values):
    ids = [f"e-{number}" for number in range(len(records))]
    return answer(lineup, records, event_ids=ids, door=Door.HTTP, now=NOON, **values)


def with_trial(champion, challenger, *, share=0.5, mode=Mode.SHARE):
    trial = Trial(id="x", mode=mode, share=share, challenger=challenger)
    return Lineup(champion=champion, trial=trial)


def offline(scorer, record):
    canonical = validate_record(record, scorer.schema)
    return scorer.model.predict_pd(records_frame([canonical], scorer.schema))[0]


@pytest.mark.slow
def test_an_answer_is_the_pd_of_the_champion_with_all_that_is_kept(champion):
    answers = asked(Lineup(champion=champion), request_digest="ab" * 32, started=time.monotonic() - 0.25)
    assert len(answers) == len(RECORDS)
    for number, (record, each) in enumerate(zip(RECORDS, answers, strict=True)):
        kept = each.prediction
        assert each.pd == pytest.approx(offline(champion, record), abs=1e-6)
        assert each.points == pytest.approx(score_points([each.pd])[0], abs=0.005)
        assert (kept.event, kept.application) == (f"e-{number}", record["loan"])
        assert (each.version, each.digest, each.group) == ("v1", champion.digest, Group.CHAMPION)
        assert (each.experiment, kept.door, kept.scored_at) == (None, Door.HTTP, NOON)
        assert kept.request_digest == "ab" * 32
        assert 0.25 <= kept.latency_seconds < 60


def test_nothing_is_nothing(champion):
    assert asked(Lineup(champion=champion), []) == []


def test_each_record_needs_an_event(champion):
    with pytest.raises(ValueError, match="each record must have an event id"):
        answer(Lineup(champion=champion), RECORDS, event_ids=["a"], door=Door.HTTP, now=NOON)


@pytest.mark.parametrize("bad", [record_of("b", purpose="boat"), record_of("b", debt=-1), {}, 7, None])
def test_a_bad_record_changes_nothing_for_its_neighbours(champion, bad):
    alone = asked(Lineup(champion=champion), RECORDS[:2])
    first, middle, last = asked(Lineup(champion=champion), [RECORDS[0], bad, RECORDS[1]])
    assert isinstance(middle, RecordError)
    assert [first.pd, last.pd] == pytest.approx([each.pd for each in alone], abs=1e-6)
    assert last.prediction.event == "e-2"


@pytest.mark.slow
def test_both_groups_are_answered_by_their_models(champion, challenger):
    lineup = with_trial(champion, challenger)
    answers = asked(lineup)
    by_group = {group: [each for each in answers if each.group is group] for group in Group}
    assert len(by_group[Group.CHAMPION]) > 10
    assert len(by_group[Group.CHALLENGER]) > 10
    assert by_group[Group.SHADOW] == []
    for each in answers:
        scorer = champion if each.group is Group.CHAMPION else challenger
        assert each.pd == pytest.approx(offline(scorer, each.record), abs=1e-6)
        assert (each.version, each.digest, each.experiment) == (scorer.version, scorer.digest, "x")
        assert each.group is lineup.group_of(each.record["loan"])


def test_text_and_number_of_one_identifier_are_one_applicant(champion, challenger):
    lineup = with_trial(champion, challenger)
    texts = asked(lineup, [record_of(str(number)) for number in range(30)])
    numbers = asked(lineup, [record_of(number) for number in range(30)])
    assert [each.group for each in texts] == [each.group for each in numbers]
    assert {each.group for each in texts} == {Group.CHAMPION, Group.CHALLENGER}


def test_a_record_is_read_by_the_schema_of_the_model_that_answers(champion):
    lineup = with_trial(champion, slow_scorer("v3", seed=3, schema=STRICT))
    too_much, unknown = record_of("", income=12), record_of("", purpose="boat", income=1)
    for record, refused_by in ((too_much, Group.CHALLENGER), (unknown, Group.CHAMPION)):
        people = [f"p-{number}" for number in range(40)]
        answers = asked(lineup, [{**record, "loan": person} for person in people])
        for person, each in zip(people, answers, strict=True):
            assert isinstance(each, RecordError) == (lineup.group_of(person) is refused_by)
    assert {lineup.group_of(f"p-{number}") for number in range(40)} == {Group.CHAMPION, Group.CHALLENGER}


def test_who_names_nobody_has_the_champion(champion, challenger):
    (each,) = asked(with_trial(champion, challenger, share=1), [record_of(None)])
    assert (each.group, each.unit, each.prediction.application) == (Group.CHAMPION, None, None)


def test_the_applicant_is_routed_where_the_schema_names_one(champion, challenger):
    columns = {
        "loan": {"kind": "identifier", "optional": True},
        "person": {"kind": "identifier", "group": True},
        "debt": {"kind": "numerical"},
        "default": {"kind": "target"},
    }
    schema = schema_from_dict({"name": "people", "columns": columns})
    one, two = slow_scorer("v1", seed=1, schema=schema), slow_scorer("v2", seed=2, schema=schema)
    records = [{"loan": f"l-{n}", "person": f"p-{n % 20}", "debt": 1.0} for n in range(60)]
    groups = {}
    for record, each in zip(records, asked(with_trial(one, two), records), strict=True):
        groups.setdefault(record["person"], set()).add(each.group)
        assert each.prediction.application == record["loan"]
    assert all(len(found) == 1 for found in groups.values())
    assert set().union(*groups.values()) == {Group.CHAMPION, Group.CHALLENGER}


def test_given_applications_go_before_those_of_the_records(champion):
    (each,) = asked(Lineup(champion=champion), RECORDS[:1], applications=["subject"])
    assert each.prediction.application == "subject"


@pytest.mark.slow
def test_a_shadow_is_kept_beside_and_changes_no_answer(champion, challenger):
    lineup = with_trial(champion, challenger, share=1, mode=Mode.SHADOW)
    answers = asked(lineup, [*RECORDS, record_of(None), record_of("z", debt=-1)])
    plain = asked(Lineup(champion=champion), [*RECORDS, record_of(None), record_of("z", debt=-1)])
    for each, without in zip(answers[:-1], plain[:-1], strict=True):
        assert each.prediction == without.prediction.model_copy(update={"experiment": "x"})
    kept = shadow(lineup, answers)
    assert len(kept) == len(RECORDS) + 1
    for each, prediction in zip(answers, kept, strict=False):
        assert prediction.event == each.prediction.event
        assert prediction.id != each.prediction.id
        assert (prediction.group, prediction.version) == (Group.SHADOW, "v2")
        assert prediction.digest == challenger.digest
        assert prediction.pd == pytest.approx(offline(challenger, each.record), abs=1e-6)
        assert type(prediction).from_store(prediction.to_store()) == prediction


def test_a_shadow_of_a_share_is_of_those_whom_it_takes(champion, challenger):
    lineup = with_trial(champion, challenger, share=0.5, mode=Mode.SHADOW)
    kept = {each.application for each in shadow(lineup, asked(lineup))}
    assert kept == {record["loan"] for record in RECORDS if lineup.trial.takes(record["loan"])}
    assert 0 < len(kept) < len(RECORDS)


def test_there_is_no_shadow_without_one(champion, challenger):
    for lineup in (Lineup(champion=champion), with_trial(champion, challenger)):
        assert shadow(lineup, asked(lineup)) == []


def test_what_the_challenger_cannot_read_has_no_shadow(champion):
    lineup = with_trial(champion, slow_scorer("v3", seed=3, schema=STRICT), share=1, mode=Mode.SHADOW)
    answers = asked(lineup, [record_of("a", income=12), record_of("b", income=1)])
    assert [each.application for each in shadow(lineup, answers)] == ["b"]
    assert shadow(lineup, answers[:1]) == []


def test_the_digest_is_of_what_decides_the_pd_alone(champion):
    columns = digested_columns(SCHEMA)
    assert columns == ("income", "debt", "purpose")
    base = validate_record(record_of("a", sex="f"), SCHEMA)
    digest = features_digest(base, columns)
    assert len(digest) == 64
    same = [{**base, "loan": "b"}, {**base, "sex": "m"}, {**base, "default": 1.0}]
    other = [{**base, "income": 12.25}, {**base, "income": None}, {**base, "purpose": "study"}]
    assert {features_digest(each, columns) for each in same} == {digest}
    assert len({features_digest(each, columns) for each in other} | {digest}) == 4


def test_the_time_counts_where_a_feature_is_made_from_it():
    columns = {
        "made": {"kind": "timestamp"},
        "born": {"kind": "date", "derive": "years_before_application"},
        "default": {"kind": "target"},
    }
    schema = schema_from_dict({"name": "dates", "columns": columns})
    assert digested_columns(schema) == ("born", "made")
    record = {"made": "2026-01-01T00:00:00Z", "born": "1980-01-01"}
    first, second = (
        features_digest(validate_record({**record, "made": made}, schema), digested_columns(schema))
        for made in ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    )
    assert first != second


def test_an_answer_holds_what_it_was_made_of(champion):
    (each,) = asked(Lineup(champion=champion), RECORDS[:1])
    assert isinstance(each, Answer)
    assert replace(each, unit="other").prediction is each.prediction
