"""The outcome of a file that has no schema: which values mean default, and which mean none."""

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.inference.columns import Report, Severity, Values, rows_in_words
from loan_default.data.schema.values import as_text, fold
from loan_default.errors import DataError

_BAD = frozenset({"yes", "y", "true", "t", "default", "defaulted", "charged off", "bad", "late", "bankrupt"})
_GOOD = frozenset(
    {"no", "n", "false", "f", "good", "paid", "fully paid", "repaid", "current", "no default", "paid off"}
)


def infer_target(values: Values, report: Report) -> Column:
    """The target column, with the value that means default.

    Raises:
        DataError: the column does not have two values.
    """
    texts = values.raw.map(as_text).map(lambda text: fold(text) if text is not None else "?")
    shares = texts.value_counts(normalize=True)
    if len(shares) != 2:
        some = ", ".join(repr(text) for text in shares.index[:5]) or "none"
        raise DataError(
            f"the target must have two values, however: {values.name!r} has {len(shares):,} ({some}). "
            "Name another column, or keep only rows with a known outcome."
        )
    common, rare = (str(text) for text in shares.index)
    positive, is_known = _positive_value(common, rare)
    negative = common if positive == rare else rare
    rate = f"{shares[positive]:.2%} of rows"
    if not is_known:
        report(
            values.name,
            Severity.WARNING,
            f"{positive!r} is guessed to mean default: it is rarer ({rate})",
        )
    elif shares[positive] > 0.5:
        report(
            values.name,
            Severity.WARNING,
            f"{positive!r} means default and makes up {rate}: is it so?",
        )
    else:
        report(values.name, Severity.NOTE, f"{positive!r} means default ({rate})")
    if values.n_missing:
        report(
            values.name,
            Severity.NOTE,
            f"{rows_in_words(values.n_missing)} without a label yet: not trained on",
        )
    return Column(name=values.name, kind=Kind.TARGET, positive=positive, negative=negative)


def _positive_value(common: str, rare: str) -> tuple[str, bool]:
    """The value that means default, and whether that is known rather than guessed."""
    both = {common, rare}
    if both in ({"0", "1"}, {"-1", "1"}):
        return "1", True
    for value, other in ((common, rare), (rare, common)):
        if (value in _BAD and other not in _BAD) or (other in _GOOD and value not in _GOOD):
            return value, True
    return rare, False
