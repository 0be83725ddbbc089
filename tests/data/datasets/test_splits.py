import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loan_default.data.datasets.splits import (
    Split,
    held_out,
    permanent_holdout_split,
    split_out_of_time,
    split_rows,
)
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import ConfigurationError, DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="income", kind=Kind.NUMERICAL),
        Column(name="made", kind=Kind.TIMESTAMP, nullable=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
TIMELESS = Schema(name="timeless", columns=(SCHEMA["income"], SCHEMA["bad"]))


def frame(
    rows: int, *, seed: int = 0, rate: float = 0.25, unlabelled: float = 0.0, days: int = 365
) -> pd.DataFrame:
    """Rows in random order of time, at least 10 of each class labelled."""
    generator = np.random.default_rng(seed)
    bad = (generator.random(rows) < rate).astype(float)
    bad[:20] = np.repeat([1.0, 0.0], 10)
    bad[60:][generator.random(max(rows - 60, 0)) < unlabelled] = np.nan
    made = np.datetime64("2025-01-01", "us") + generator.integers(0, days, rows).astype("timedelta64[D]")
    return pd.DataFrame(
        {"income": generator.normal(size=rows), "made": pd.to_datetime(made, utc=True), "bad": bad},
        index=generator.permutation(rows) + 7,
    )


def alone(rows: pd.DataFrame) -> NDArray[np.int64]:
    return np.arange(len(rows))


def parts(split: Split) -> list[NDArray[np.int64]]:
    return [split.train, split.validation, split.test]


def check_partition(split: Split, rows: pd.DataFrame, groups: NDArray[np.int64]) -> None:
    together = np.concatenate([*parts(split), split.unlabelled])
    assert np.sort(together).tolist() == list(range(len(rows)))
    assert split.unlabelled.tolist() == np.flatnonzero(rows["bad"].isna()).tolist()
    for part in [*parts(split), split.unlabelled]:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    seen = [set(groups[part].tolist()) for part in parts(split)]
    assert len(set.union(*seen)) == sum(len(groups) for groups in seen)
    for part in parts(split):
        assert set(rows["bad"].iloc[part]) == {0.0, 1.0}


@settings(deadline=None)
@given(
    st.integers(100, 1500),
    st.floats(0.1, 0.9),
    st.floats(0, 0.5),
    st.floats(0.15, 0.35),
    st.floats(0.15, 0.35),
    st.integers(0, 1000),
)
def test_rows_without_groups_split_exactly_by_class(
    rows: int, rate: float, unlabelled: float, test: float, validation: float, seed: int
) -> None:
    data = frame(rows, seed=seed, rate=rate, unlabelled=unlabelled)
    split = split_rows(
        data, SCHEMA, groups=alone(data), seed=seed, test_share=test, validation_share=validation
    )
    check_partition(split, data, alone(data))
    for label in (0.0, 1.0):
        of_class = (data["bad"] == label).sum()
        for part, share in zip(parts(split), (1 - test - validation, validation, test), strict=True):
            assert abs((data["bad"].iloc[part] == label).sum() - share * of_class) <= 1


@settings(deadline=None)
@given(st.integers(400, 1500), st.integers(1, 8), st.integers(0, 1000))
def test_groups_stay_whole_and_shares_hold(rows: int, size: int, seed: int) -> None:
    data = frame(rows, seed=seed, rate=0.4, unlabelled=0.1)
    groups = np.random.default_rng(seed).integers(0, max(rows // size, 1), rows) * 17 - 5
    split = split_rows(data, SCHEMA, groups=groups, seed=seed)
    check_partition(split, data, groups)
    labelled = len(data) - len(split.unlabelled)
    for part, share in zip(parts(split), (0.64, 0.16, 0.2), strict=True):
        assert len(part) / labelled == pytest.approx(share, abs=0.05)
        assert data["bad"].iloc[part].mean() == pytest.approx(data["bad"].mean(), abs=0.2)


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(150, 1000), st.integers(5, 400), st.integers(1, 5), st.integers(0, 1000))
def test_an_out_of_time_test_is_later_than_all_that_trains(
    rows: int, days: int, size: int, seed: int
) -> None:
    data = frame(rows, seed=seed, rate=0.5, unlabelled=0.1, days=days)
    data.loc[data.index[::50], "made"] = pd.NaT
    groups = np.random.default_rng(seed).integers(0, rows, rows) if size > 1 else alone(data)
    try:
        split = split_out_of_time(
            data, SCHEMA, groups=groups, seed=seed, test_share=0.25, validation_share=0.2
        )
    except DataError as error:  # groups can hang together so much that no cut is near
        assume(size == 1 or "must differ enough" not in str(error))
        raise
    check_partition(split, data, groups)
    before = data["made"].iloc[np.concatenate([split.train, split.validation])].max()
    test = data.iloc[split.test]
    late = set(groups[split.test[test["made"] > before]].tolist())
    assert (
        set(groups[split.test].tolist()) == late
    )  # the earlier ones are there for a late row of their group
    if size == 1:
        assert (test["made"] > before).all()
    if size == 1 and days > 100:
        assert len(split.test) / (rows - len(split.unlabelled)) == pytest.approx(0.25, abs=0.05)


def test_one_timestamp_never_straddles_the_cut() -> None:
    data = frame(1000, days=4)
    split = split_out_of_time(data, SCHEMA, groups=alone(data), seed=1)
    assert set(data["made"].iloc[split.test]) == {data["made"].max()}
    assert "2025-01-04T00:00:00 UTC" in split.reason


def test_the_seed_decides() -> None:
    data = frame(500)
    first, again, other = (split_rows(data, SCHEMA, groups=alone(data), seed=seed) for seed in (1, 1, 2))
    assert first.test.tolist() == again.test.tolist()
    assert first.train.tolist() == again.train.tolist()
    assert first.test.tolist() != other.test.tolist()
    times = [split_out_of_time(data, SCHEMA, groups=alone(data), seed=seed) for seed in (1, 1, 2)]
    assert times[0].validation.tolist() == times[1].validation.tolist() != times[2].validation.tolist()
    assert times[0].test.tolist() == times[2].test.tolist()


def test_the_random_split_is_independent_of_the_order_of_time() -> None:
    data = frame(4000).sort_values("made")
    split = split_rows(data, TIMELESS, groups=alone(data), seed=1)
    assert abs(data["made"].iloc[split.test].mean() - data["made"].mean()) < pd.Timedelta(days=15)


def test_a_very_large_group_trains() -> None:
    data = frame(1000)
    groups = alone(data)
    groups[200:700] = -1
    split = split_rows(data, SCHEMA, groups=groups, seed=1)
    check_partition(split, data, groups)
    assert set(range(200, 700)) <= set(split.train.tolist())
    assert "1 groups of 500 rows kept whole" in split.reason


def test_the_reason_says_how_many_rows_went_where() -> None:
    data = frame(1000)
    reason = split_rows(data, SCHEMA, groups=alone(data), seed=3).reason
    for words in (
        "at random",
        "seed 3",
        "train 640 rows (64%",
        "validation 160 rows (16%",
        "test 200 rows (20%",
    ):
        assert words in reason


def test_ten_rows_are_refused() -> None:
    data = frame(60).iloc[:10]
    with pytest.raises(DataError, match=r"at least 50 labelled rows .* however: 10\. Gather more"):
        split_rows(data, SCHEMA, groups=alone(data), seed=1)


def test_one_class_and_too_few_of_a_class_are_refused() -> None:
    data = frame(100)
    data["bad"] = 0.0
    with pytest.raises(DataError, match="both outcomes must be there, however: 0 defaults among 100"):
        split_rows(data, SCHEMA, groups=alone(data), seed=1)
    data.iloc[:9, 2] = 1.0
    with pytest.raises(DataError, match=r"at least 10 rows of each outcome .* however: 9 defaults"):
        split_rows(data, SCHEMA, groups=alone(data), seed=1)
    data.iloc[9, 2] = 1.0
    assert len(split_rows(data, SCHEMA, groups=alone(data), seed=1).test) == 20


def test_labels_that_are_missing_do_not_count() -> None:
    data = frame(100)
    data.iloc[49:, 2] = np.nan
    with pytest.raises(DataError, match=r"labelled rows .* however: 49"):
        split_rows(data, SCHEMA, groups=alone(data), seed=1)


def test_one_group_of_everything_is_refused() -> None:
    data = frame(100)
    with pytest.raises(DataError, match=r"each part must hold both outcomes.*group = true"):
        split_rows(data, SCHEMA, groups=np.zeros(100, np.int64), seed=1)


def test_time_must_be_there_and_move() -> None:
    data = frame(100)
    with pytest.raises(DataError, match=r"must have a timestamp column.*or split at random"):
        split_out_of_time(data, TIMELESS, groups=alone(data), seed=1)
    with pytest.raises(DataError, match="must have a timestamp column"):
        split_out_of_time(data.drop(columns="made"), SCHEMA, groups=alone(data), seed=1)
    for still in (frame(100, days=1), data.assign(made=pd.Series(pd.NaT, data.index, "datetime64[us, UTC]"))):
        with pytest.raises(DataError, match=r"timestamps must differ enough.*takes 100% of 100"):
            split_out_of_time(still, SCHEMA, groups=alone(data), seed=1)


def test_rows_without_a_time_are_counted_where_they_count_as_early() -> None:
    data = frame(400)
    assert "without a time" not in split_out_of_time(data, SCHEMA, groups=alone(data), seed=1).reason
    data.iloc[:30, 1] = pd.NaT
    split = split_out_of_time(data, SCHEMA, groups=alone(data), seed=1)
    assert "; 30 rows without a time count as earlier; the rest at random" in split.reason
    assert not np.isin(np.arange(30), split.test).any()


@pytest.mark.parametrize("shares", [(0.0, 0.2), (0.2, 0.0), (0.6, 0.4), (-0.1, 0.2)])
def test_shares_must_leave_rows_in_each_part(shares: tuple[float, float]) -> None:
    data = frame(100)
    with pytest.raises(ConfigurationError, match="above 0 and leave rows to train on"):
        split_rows(data, SCHEMA, groups=alone(data), seed=1, test_share=shares[0], validation_share=shares[1])


def test_groups_targets_and_labels_are_checked() -> None:
    data = frame(100)
    with pytest.raises(DataError, match="one whole number per row"):
        split_rows(data, SCHEMA, groups=np.arange(99), seed=1)
    with pytest.raises(DataError, match="one whole number per row"):
        split_rows(data, SCHEMA, groups=np.arange(100.0), seed=1)
    with pytest.raises(DataError, match="must have a target column"):
        split_rows(data, Schema(name="s", columns=(SCHEMA["income"],)), groups=alone(data), seed=1)
    with pytest.raises(DataError, match="must have a target column"):
        split_rows(data.drop(columns="bad"), SCHEMA, groups=alone(data), seed=1)
    data.iloc[3, 2] = 2.0
    with pytest.raises(DataError, match="labels must be 1, 0 or missing"):
        split_rows(data, SCHEMA, groups=alone(data), seed=1)


def test_an_out_of_time_split_keeps_its_shares_of_all_labelled_rows() -> None:
    data = frame(2000, days=2000, unlabelled=0.2)
    split = split_out_of_time(data, SCHEMA, groups=alone(data), seed=1)
    labelled = len(data) - len(split.unlabelled)
    assert len(split.test) / labelled == pytest.approx(0.2, abs=0.01)
    assert len(split.validation) / labelled == pytest.approx(0.16, abs=0.005)
    for part in (split.train, split.validation):
        assert data["bad"].iloc[part].mean() == pytest.approx(
            data["bad"].iloc[np.concatenate([split.train, split.validation])].mean(), abs=0.01
        )


def test_at_most_half_of_the_earlier_rows_validate() -> None:
    data = frame(1000, days=1000)
    split = split_out_of_time(data, SCHEMA, groups=alone(data), seed=1, test_share=0.45, validation_share=0.5)
    assert len(split.validation) == pytest.approx(len(split.train), abs=2)


def test_earlier_rows_of_a_late_group_are_tested_and_counted() -> None:
    data = frame(500, days=500)
    order = np.argsort(data["made"].to_numpy())
    groups = alone(data)
    groups[order[[10, 20, 495]]] = -1
    split = split_out_of_time(data, SCHEMA, groups=groups, seed=1)
    assert set(order[[10, 20, 495]].tolist()) <= set(split.test.tolist())
    assert (
        ", and 2 earlier rows of its groups; the rest at random within each class, seed 1; "
        not in split.reason
    )
    assert (
        "UTC on, and 2 earlier rows of its groups; the rest at random within each class, seed 1: "
        in split.reason
    )
    plain = split_out_of_time(data, SCHEMA, groups=alone(data), seed=1)
    assert "earlier rows" not in plain.reason


def test_the_cut_is_the_nearest_to_the_share_that_is_asked_for() -> None:
    data = frame(1000, days=1000)
    days = np.repeat([0, 1, 2, 3], [700, 40, 60, 200]) * np.timedelta64(1, "D")
    data["made"] = pd.to_datetime(np.datetime64("2025-01-01", "us") + days, utc=True)
    for share, rows in ((0.2, 200), (0.22, 200), (0.24, 260), (0.27, 260), (0.29, 300)):
        split = split_out_of_time(data, SCHEMA, groups=alone(data), seed=1, test_share=share)
        assert len(split.test) == rows


def test_a_group_of_half_the_smaller_part_is_assigned_and_a_larger_one_trains() -> None:
    data = frame(1000, rate=0.5)
    data.iloc[200:300, 2] = 1.0  # a group of both classes would be the only one of its stratum
    for size, always in ((80, False), (81, True)):
        groups = alone(data)
        groups[200 : 200 + size] = -1
        trains = {200 in split_rows(data, SCHEMA, groups=groups, seed=seed).train for seed in range(25)}
        assert trains == ({True} if always else {True, False})


def test_a_digest_tells_the_parts_apart() -> None:
    def digest(*ends: int) -> str:
        train, validation, test, unlabelled = np.split(np.arange(10), ends)
        return Split(
            train=train, validation=validation, test=test, unlabelled=unlabelled, reason="any"
        ).digest

    assert digest(5, 7, 9) == digest(5, 7, 9)
    assert len({digest(5, 7, 9), digest(4, 7, 9), digest(5, 8, 9), digest(5, 7, 8)}) == 4


def test_a_split_needs_fifty_labelled_rows_and_ten_of_each_class() -> None:
    data = frame(50)
    data["bad"] = np.repeat([1.0, 0.0], [10, 40])
    assert len(split_rows(data, SCHEMA, groups=alone(data), seed=1).test) == 10
    for fewer in (data.iloc[:49], data.assign(bad=np.repeat([1.0, 0.0], [9, 41]))):
        with pytest.raises(DataError):
            split_rows(fewer, SCHEMA, groups=alone(fewer), seed=1)
    swapped = data.assign(bad=1 - data["bad"])
    assert len(split_rows(swapped, SCHEMA, groups=alone(swapped), seed=1).test) == 10


def test_only_groups_of_several_rows_are_reported_as_kept_whole() -> None:
    data = frame(1000)
    groups = alone(data)
    assert "no groups" in split_rows(data, SCHEMA, groups=groups, seed=1).reason
    groups[[1, 2]] = -1
    groups[[3, 4, 5]] = -2
    assert "2 groups of 5 rows kept whole" in split_rows(data, SCHEMA, groups=groups, seed=1).reason
    data.iloc[[2, 3], 2] = np.nan
    assert "1 groups of 2 rows kept whole" in split_rows(data, SCHEMA, groups=groups, seed=1).reason


# A split for good ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(rows=st.integers(400, 1200), seed=st.integers(0, 2**32 - 1), unlabelled=st.floats(0, 0.3))
def test_a_permanent_holdout_split_is_a_partition(rows, seed, unlabelled):
    data = frame(rows, seed=seed, unlabelled=unlabelled)
    split = permanent_holdout_split(data, SCHEMA, groups=alone(data))
    check_partition(split, data, alone(data))


@pytest.mark.slow
@settings(deadline=None)
@given(rows=st.integers(600, 1200), kept=st.integers(400, 600), seed=st.integers(0, 2**32 - 1))
def test_a_row_has_the_same_side_in_every_snapshot(rows, kept, seed):
    data = frame(rows, seed=seed)
    some = data.sample(kept, random_state=seed % 1000)
    whole = permanent_holdout_split(data, SCHEMA, groups=alone(data))
    part = permanent_holdout_split(some, SCHEMA, groups=alone(some))
    for of_whole, of_part in zip(parts(whole), parts(part), strict=True):
        assert set(some.index[of_part]) == set(data.index[of_whole]) & set(some.index)
    assert set(data.index[whole.test]) == set(data.index[held_out(data, SCHEMA)])


def test_alike_rows_have_one_side_whatever_else_they_say():
    data = frame(600)
    copies = data.assign(made=pd.NaT, bad=1 - data["bad"])
    assert (held_out(data, SCHEMA) == held_out(copies, SCHEMA)).all()


def test_the_shares_of_a_permanent_holdout_split_hold_on_average():
    data = frame(20_000)
    split = permanent_holdout_split(data, SCHEMA, groups=alone(data))
    shares = [len(part) / len(data) for part in parts(split)]
    assert np.abs(np.array(shares) - [0.64, 0.16, 0.2]).max() < 0.01
    rates = [data["bad"].iloc[part].mean() for part in parts(split)]
    assert max(rates) - min(rates) < 0.03


def test_values_next_to_each_other_are_spread():
    """Rows that differ in one digit of one column fall on all sides: no pattern of the hash shows."""
    data = pd.DataFrame({"income": np.arange(10_000.0)})
    taken = held_out(data, TIMELESS)
    assert abs(taken.mean() - 0.2) < 0.02
    assert abs(np.corrcoef(taken[1:], taken[:-1])[0, 1]) < 0.05
