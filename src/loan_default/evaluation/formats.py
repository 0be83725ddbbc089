"""How numbers look to a reader: the filters of the report's templates. A missing value is a dash."""

import math
from collections.abc import Iterator, Mapping

from loan_default.data.schema.column import TIME_KINDS, Column, Kind
from loan_default.evaluation.metrics import STEEPEST_SLOPE

NOTHING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 3) -> str:
    """`0.781`: a fixed number of decimals, and a real minus sign."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:.{digits}f}"
    zero = f"{0:.{digits}f}"
    return zero if text == f"-{zero}" else text.replace("-", _MINUS)


def metric(value: float | None, name: str, digits: int = 3) -> str:
    """The value of a metric by its name: `0.781`; a slope that was capped has no number of its own."""
    if value is not None and name == "calibration_slope" and abs(value) >= STEEPEST_SLOPE:
        return f"beyond {number(math.copysign(STEEPEST_SLOPE, value), 0)}"
    return number(value, digits)


def signed(value: float | None, digits: int = 3) -> str:
    """`+0.012`: for differences."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text != NOTHING else text


def percent(value: float | None) -> str:
    """`22.1%`; small shares keep a second decimal, so that they never look like none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if 0 < value < 0.0001:
        return "<0.01%"
    return f"{value:.2%}" if 0 < value < 0.01 else f"{value:.1%}"


def count(value: int | None) -> str:
    """`30,000`."""
    return NOTHING if value is None else f"{value:,}"


def plain(value: object) -> str:
    """Any setting as a person would write it: `0.0003`, `30,000`, `yes`, `32, 64`."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _whole(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, list | tuple):
        value = ", ".join(plain(part) for part in value) or NOTHING
    return str(value)


def verbatim(value: object) -> str:
    """A value as it is stored, such as a version or a seed; `none`, `yes` and `no` for what has no digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _whole(value: int) -> str:
    """Four digits are easier to read without a separator."""
    return f"{value:,}" if abs(value) >= 10_000 else str(value)


def duration(seconds: float) -> str:
    """`0.4 s`, `4 min 12 s`, `1 h 03 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def allowed(column: Column) -> str:
    """What may stand in a column: bounds or levels."""
    if column.is_coded:
        return _levels(column)
    if column.kind is Kind.TARGET:
        return f"{column.positive} = default, {column.negative} = none"
    if column.kind is Kind.WEIGHT:
        return "above 0"
    if column.kind in TIME_KINDS:
        return f"times as {column.format}" if "%" in column.format else NOTHING
    low, high = column.minimum, column.maximum
    if low is None and high is None:
        return "whole numbers" if column.integer else NOTHING
    if low is not None and high is not None:
        bounds = f"{plain(low)} to {plain(high)}"
    else:
        bounds = f"from {plain(low)}" if low is not None else f"up to {plain(high)}"
    return f"{bounds.replace('-', _MINUS)}{', whole' if column.integer else ''}"


def _levels(column: Column) -> str:
    labels = column.labels
    parts = [f"{level} = {labels[level]}" if level in labels else level for level in column.categories[:6]]
    if len(column.categories) > 6:
        parts.append(f"… ({len(column.categories)} levels)")
    if column.open:
        parts.append("and unseen ones" if parts else "any")
    return ", ".join(parts)


def grouped(settings: Mapping[str, object]) -> dict[str, list[tuple[str, str]]]:
    """Settings by their top level, deeper ones as dotted names; those without a group come first."""
    groups: dict[str, list[tuple[str, str]]] = {"general": []}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            groups.setdefault(name, []).extend(_flat(value))
        else:
            groups["general"].append((name, plain(value)))
    return {name: rows for name, rows in groups.items() if rows}


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", plain(value)
