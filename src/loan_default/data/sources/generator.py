"""Records of any schema with a known true risk: for load, property tests and demonstrations.

    generate(schema, rows=10_000, seed=1)                             # frame, true PDs, best possible AUC
    chunks(schema, rows=10_000_000, chunk_rows=100_000, seed=1)       # the same rows in flat memory

The seed decides the data-generating process once: how each column is distributed, how columns are correlated,
and a risk that is not linear (hinges, an interaction, category effects, informative missing values). The rows
are drawn from it in blocks with random numbers of their own. So chunks of any size, from any row on, give the
same rows, and continuing at a row does not draw those before it.
The true PD is a function of the feature columns alone: only noise keeps a model from finding it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.schema.column import NUMBER_KINDS, TIME_KINDS, Column, Kind
from loan_default.data.schema.frames import read_column
from loan_default.data.schema.language import Schema
from loan_default.data.sources.generating_process import (
    Block,
    DataGeneratingProcess,
    draw_block,
    draw_process,
    true_pd,
)
from loan_default.errors import ConfigurationError

Floats = NDArray[np.float64]

_BLOCK = 8192
"""Rows that are drawn together."""
_START = np.datetime64("2025-01-01", "us")
_YEAR = 365 * 86_400 * 1_000_000
"""Microseconds of a year."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Generated:
    """Generated rows with their true PDs."""

    frame: pd.DataFrame
    """Canonical frame; the index is the row number."""
    probability: Floats
    """The true PD `(N,)` of each row, from which its label was drawn."""
    bayes_auc: float
    """Expected AUC of the true PDs on these rows: no model can do better but by chance."""


def generate(
    schema: Schema,
    *,
    rows: int,
    seed: int,
    base_rate: float = 0.2,
    signal: float = 1.5,
    missing_rate: float = 0.05,
) -> Generated:
    """All rows at once; the arguments are those of `chunks`."""
    process = draw_process(schema, seed=seed, base_rate=base_rate, signal=signal, missing_rate=missing_rate)
    return next(_chunks(process, range(_positive("rows", rows)), chunk_rows=rows, of_rows=rows))


def chunks(
    schema: Schema,
    *,
    rows: int,
    chunk_rows: int,
    seed: int,
    begin: int = 0,
    end: int | None = None,
    base_rate: float = 0.2,
    signal: float = 1.5,
    missing_rate: float = 0.05,
) -> Iterator[Generated]:
    """The rows of `generate` in order, `chunk_rows` at a time; the last chunk may be shorter.

    Args:
        rows: rows in all, those before `begin` too: the times are spread over them.
        begin: number of the first row that is drawn; those before it cost nothing.
        end: number of the row before which it ends. None = all rows.
        base_rate: mean PD of the process, so that of the rows up to chance.
        signal: standard deviation of the true logits. 0 = nothing to learn.
        missing_rate: share of the values of nullable columns that is missing. 0 = none.

    Raises:
        ConfigurationError: an argument out of its range.
        DataError: a column has no possible value, e.g. no whole number between its bounds.
    """
    process = draw_process(schema, seed=seed, base_rate=base_rate, signal=signal, missing_rate=missing_rate)
    size, last = _positive("chunk_rows", chunk_rows), _positive("rows", rows) if end is None else end
    if not 0 <= begin <= last <= rows:
        raise ConfigurationError(
            f"begin and end must lie between 0 and rows, in this order, however: begin={begin}, end={last}, "
            f"rows={rows}"
        )
    return _chunks(process, range(begin, last), chunk_rows=size, of_rows=rows)


def bayes_auc(probability: Floats) -> float:
    """Expected AUC of PDs `(N,)` that are true: a pair counts as often as its labels are expected to differ.

    Ties count one half; without any pair that can differ it is 0.5.
    """
    ordered = np.sort(probability)
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    bads = np.add.reduceat(ordered, starts)
    goods = np.add.reduceat(1 - ordered, starts)
    both = np.add.reduceat(ordered * (1 - ordered), starts)
    below = np.cumsum(goods) - goods
    # A row is no pair with itself.
    pairs = bads.sum() * goods.sum() - both.sum()
    won = bads @ below + (bads @ goods - both.sum()) / 2
    return float(won / pairs) if pairs > 0 else 0.5


def to_text(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A canonical frame as it would stand in a file: all text, missing values empty, numbers exact."""
    return pd.DataFrame(
        {name: pd.Series(_texts(frame[name], schema[name]), frame.index, "str") for name in frame.columns}
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A block of rows with their true PDs, computed for whole blocks: so they are equal to the last bit."""

    block: Block
    probability: Floats


def _chunks(
    process: DataGeneratingProcess, wanted: range, *, chunk_rows: int, of_rows: int
) -> Iterator[Generated]:
    drawn: dict[int, _Drawn] = {}
    for start in range(wanted.start, wanted.stop, chunk_rows):
        stop = min(start + chunk_rows, wanted.stop)
        needed = range(start // _BLOCK, (stop - 1) // _BLOCK + 1)
        # A block that the last chunk has begun is not drawn again.
        drawn = {number: drawn.get(number) or _numbered_block(process, number) for number in needed}
        inside = slice(start - needed[0] * _BLOCK, stop - needed[0] * _BLOCK)
        blocks = [each.block for each in drawn.values()]
        values = {
            name: np.concatenate([block.values[name] for block in blocks])[inside]
            for name in blocks[0].values
        }
        draws = np.concatenate([block.draws for block in blocks])[inside]
        probability = np.concatenate([each.probability for each in drawn.values()])[inside]
        yield _generated(process, Block(values, draws), probability, start=start, of_rows=of_rows)


def _numbered_block(process: DataGeneratingProcess, number: int) -> _Drawn:
    block = draw_block(process, np.random.default_rng([process.seed, 2 + number]), _BLOCK)
    return _Drawn(block, true_pd(process, block))


def _generated(
    process: DataGeneratingProcess, block: Block, probability: Floats, *, start: int, of_rows: int
) -> Generated:
    rows = np.arange(start, start + len(probability))
    processes = {column.definition.name: column for column in process.columns}
    data: dict[str, Any] = {}
    passed = ((rows + block.draws[:, 1]) * (_YEAR / of_rows)).astype("timedelta64[us]")
    made = pd.DatetimeIndex(_START + passed, tz="UTC")
    for column in process.schema.columns:
        if column.kind is Kind.TARGET:
            data[column.name] = (block.draws[:, 0] < probability).astype(np.float64)
        elif column.kind is Kind.IDENTIFIER:
            data[column.name] = pd.array([f"G{process.seed}-{row:08d}" for row in rows.tolist()], dtype="str")
        elif column.kind is Kind.TIMESTAMP:
            data[column.name] = _as_written(made, column)
        elif column.kind is Kind.DATE:
            days = pd.to_timedelta(block.values[column.name].round(), unit="D")
            data[column.name] = _as_written(made.normalize() - days, column)
        elif column.is_coded:
            categories = pd.array(list(processes[column.name].categories), dtype="str")
            data[column.name] = categories.take(block.values[column.name], allow_fill=True)
        else:
            data[column.name] = block.values[column.name]
    frame = pd.DataFrame(data, index=pd.RangeIndex(start, start + len(rows)))
    return Generated(frame=frame, probability=probability, bayes_auc=bayes_auc(probability))


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ConfigurationError(f"{name} must be at least 1, however: {name}={value}")
    return value


def _texts(values: pd.Series, column: Column) -> list[str]:
    if column.kind is Kind.TARGET:
        return [{1.0: column.positive, 0.0: column.negative}.get(value, "") for value in values.tolist()]
    if column.kind in TIME_KINDS:
        return ["" if pd.isna(time) else _time_text(time, column.format) for time in values]
    if column.kind not in NUMBER_KINDS:
        return ["" if pd.isna(value) else value for value in values.tolist()]
    return ["" if math.isnan(value) else _number_text(value, column) for value in values.tolist()]


def _number_text(value: float, column: Column) -> str:
    if column.integer:
        return f"{value:.0f}"
    text = np.format_float_positional(value, trim="0") if column.format else repr(value)
    return text.replace(".", column.decimal)


def _as_written(times: pd.DatetimeIndex, column: Column) -> pd.DatetimeIndex:
    """Times without what is lost when they are written in the format of their column, such as seconds."""
    if not column.format:
        return times
    texts = ["" if pd.isna(time) else _time_text(time, column.format) for time in times]
    known = replace(column, nullable=True)
    return pd.DatetimeIndex(read_column(pd.Series(texts, dtype="str"), known)[0])


def _time_text(time: pd.Timestamp, form: str) -> str:
    if "%" in form:
        return time.strftime(form)
    if not form:
        return str(time.isoformat())
    passed = time - pd.Timestamp("1899-12-30" if form == "spreadsheet" else 0, tz="UTC")
    unit = {"spreadsheet": "1D", "epoch_seconds": "1s", "epoch_milliseconds": "1ms"}[form]
    return repr(passed / pd.Timedelta(unit))
