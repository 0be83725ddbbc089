"""The outcome of a file that has no schema: which values mean default, which none, and which neither.

A person names them (`--bad`, `--good`, `--rejected`), or the values say it ("Charged Off", "Fully Paid"), or
the name of the column says what its yes means. Where name and values leave a doubt, the question is asked
with the options that answer it: a model of the opposite, or of a lender's decisions, is worse than none.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from loan_default.data.schema.booleans import truth_of
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.outcome_words import (
    Meaning,
    is_conventional_name,
    is_final,
    is_status_name,
    meaning_of_name,
    meaning_of_value,
)
from loan_default.data.schema.inference.raw_values import Values
from loan_default.data.schema.inference.target_values import NamedOutcomes, TargetValues
from loan_default.data.schema.values import fold
from loan_default.errors import ConfigurationError, DataError, did_you_mean
from loan_default.option_lists import option_text

_CODES_BY_CONVENTION = ({"0", "1"}, {"-1", "1"}, {"false", "true"})


def infer_target(values: Values, report: Report, named: NamedOutcomes | None = None) -> Column:
    """The target column, with the values that mean default and none.

    Raises:
        ConfigurationError: a person must say which values mean default, or has named one that is not there.
        DataError: the column has fewer than two values.
    """
    target = TargetValues(values, named)
    rejected = _rejected(target, named, report) if named else ()
    if len(target.rows) < 2:
        some = ", ".join(repr(text) for text in target.rows) or "none"
        raise DataError(
            f"the target must have two values, however: {values.name!r} has {len(target.rows)} ({some}). "
            "Name another column, or add rows with the other outcome."
        )
    outcomes_named = named is not None and (named.bad or named.good)
    column = _named(target, named, report) if named and outcomes_named else _inferred(target, report)
    if values.n_missing:
        message = f"{rows_in_words(values.n_missing)} without a label yet: not trained on"
        report(values.name, Severity.NOTE, message)
    return replace(column, rejected=rejected)


# Named by a person ---------------------------------------------------------------------------------------


def _named(target: TargetValues, named: NamedOutcomes, report: Report) -> Column:
    bad = _found(target, named.bad, option="--bad")
    good = _found(target, named.good, option="--good")
    both = [target.spelling[key] for key in bad if key in good]
    if both:
        raise ConfigurationError(
            f"a value of the target must mean one thing, however: {both[0]!r} is named by --bad and --good. "
            "Take it out of one of them."
        )
    others = [key for key in target.rows if key not in bad and key not in good]
    is_open = bool(bad and good)
    if not is_open:
        if len(others) != 1:
            raise _other_side_wanted(target, bad=bad, good=good, others=others)
        bad, good, others = bad or others, good or others, []
    unknown = [*others, *target.marks]
    positive, *more_bad = target.spelled(bad)
    negative, *more_good = target.spelled(good)
    known = sum(target.rows[key] for key in (*bad, *good))
    rate = sum(target.rows[key] for key in bad) / known
    report(
        target.name,
        Severity.NOTE,
        f"{_in_words(target.spelled(bad))} {'means' if len(bad) == 1 else 'mean'} default ({rate:.2%} of the "
        f"{known:,} rows with a known outcome), {_in_words(target.spelled(good))} "
        f"{'means' if len(good) == 1 else 'mean'} none: as named",
    )
    _report_unknown(target, unknown, report)
    return Column(
        name=target.name,
        kind=Kind.TARGET,
        positive=positive,
        negative=negative,
        aliases={**dict.fromkeys(more_bad, positive), **dict.fromkeys(more_good, negative)},
        unknown=tuple(target.spelled(unknown)),
        open=is_open,
    )


def _rejected(target: TargetValues, named: NamedOutcomes, report: Report) -> tuple[str, ...]:
    """The values of declined applications, which from then on are no longer values of the target."""
    keys = _found(target, named.rejected, option="--rejected")
    if both := [value for value in (*named.bad, *named.good) if fold(value) in keys]:
        raise ConfigurationError(
            f"a value of the target must mean one thing, however: {both[0]!r} is named by --rejected and by "
            "another option. Take it out of one of them."
        )
    if keys:
        report(target.name, Severity.NOTE, f"rejected applications, no outcome: {target.counts(keys)}")
    return target.leave_out(keys)


def _found(target: TargetValues, wanted: Iterable[str], *, option: str) -> list[str]:
    """The folded values that a person has named.

    Raises:
        ConfigurationError: the column has no such value.
    """
    found: list[str] = []
    for value in wanted:
        key = fold(value)
        if key not in target.rows:
            key = _same_truth(target, key) or key
        if key not in target.rows:
            hint = did_you_mean(value, target.spelled(target.rows)) or did_you_mean(fold(value), target.rows)
            whole = next((each for each in target.rows if "," in each and fold(value) in each), None)
            if whole is not None:
                quoted = option_text(option, [target.spelling[whole]])
                hint = f" A value with a comma stands in double quotes: {quoted}."
            raise ConfigurationError(
                f"{option} must name values of the target, however: {target.name!r} has no {value!r}."
                f"{hint} It has {target.counts()}."
            )
        if key not in found:
            found.append(key)
    return found


def _same_truth(target: TargetValues, key: str) -> str | None:
    """The value of a column of yes and no that says what a word for yes or no says."""
    truth = truth_of(key)
    if truth is None or {truth_of(each) for each in target.rows} != {True, False} or len(target.rows) != 2:
        return None
    return next(each for each in target.rows if truth_of(each) is truth)


def _other_side_wanted(
    target: TargetValues, *, bad: list[str], good: list[str], others: list[str]
) -> ConfigurationError:
    given, missing = ("--bad", "--good") if bad else ("--good", "--bad")
    if not others:
        return ConfigurationError(
            f"the target must have a value beside those of {given}, however: {target.name!r} has "
            f"{target.counts()}. Take one of them out."
        )
    guess = _recognised(others)
    options = target.options(bad=bad or guess[0], good=good or guess[1])
    return ConfigurationError(
        f"{missing} must be given where {given} leaves several values, however: {target.name!r} also has "
        f"{target.counts(others)}. Name those with a known outcome: {options}. All others count as not known "
        "yet."
    )


# Inferred -------------------------------------------------------------------------------------------------


def _inferred(target: TargetValues, report: Report) -> Column:
    if len(target.rows) > 2:
        raise _several_values(target)
    positive, doubt = _positive_value(target)
    negative = next(key for key in target.rows if key != positive)
    known = sum(target.rows.values())
    share = target.rows[positive] / known
    rate = f"{share:.2%} of rows"
    if doubt:
        report(
            target.name,
            Severity.WARNING,
            f"{positive!r} is taken for default ({rate}): {doubt}. To turn it round, type "
            f"{target.options(bad=[negative], good=[positive])}",
        )
    elif share > 0.5:
        report(target.name, Severity.WARNING, f"{positive!r} means default and makes up {rate}: is it so?")
    else:
        report(target.name, Severity.NOTE, f"{positive!r} means default ({rate})")
    _report_unknown(target, list(target.marks), report)
    return Column(
        name=target.name,
        kind=Kind.TARGET,
        positive=positive,
        negative=negative,
        unknown=tuple(target.spelled(target.marks)),
    )


def _positive_value(target: TargetValues) -> tuple[str, str]:
    """The folded value that means default, and what speaks against being sure of it; "" = nothing.

    Raises:
        ConfigurationError: name and values do not say it.
    """
    meanings = {key: meaning_of_value(key) for key in target.rows}
    by_meaning = {meaning: key for key, meaning in meanings.items() if meaning is not None}
    if Meaning.DECISION in by_meaning:
        raise _is_decision(target, f"{target.spelling[by_meaning[Meaning.DECISION]]!r} is a decision")
    if Meaning.BAD in by_meaning and len(by_meaning) == 2:
        doubt = ""
        if Meaning.RUNNING in by_meaning:
            doubt = (
                f"{target.spelling[by_meaning[Meaning.RUNNING]]!r} counts as a good end, yet it still runs"
            )
        return by_meaning[Meaning.BAD], doubt
    if set(target.rows) in _CODES_BY_CONVENTION or {truth_of(key) for key in target.rows} == {True, False}:
        return _positive_by_name(target)
    both = list(target.rows)
    others = [key for key in both if meanings[key] is None]
    if Meaning.BAD in by_meaning and len(others) == 1 and truth_of(others[0]) is None:
        return by_meaning[Meaning.BAD], f"nothing is known of {target.spelling[others[0]]!r}"
    bad, good = _recognised(both)
    if good and len(others) == 1 and truth_of(others[0]) is None and _says_default(target.name):
        return others[0], f"nothing is known of {target.spelling[others[0]]!r}"
    if len(bad) + len(good) == 1:
        bad, good = bad or others, good or others
    raise _not_known(target, bad=bad, good=good)


def _positive_by_name(target: TargetValues) -> tuple[str, str]:
    """Which of yes and no, or of two codes, means default by the name of the column."""
    yes = "1" if set(target.rows) == {"-1", "1"} else next(key for key in target.rows if truth_of(key))
    no = next(key for key in target.rows if key != yes)
    share = target.rows[yes] / sum(target.rows.values())
    meant = meaning_of_name(target.name)
    if Meaning.DECISION in meant and Meaning.BAD not in meant:
        raise _is_decision(target, f"{target.name!r} names a decision", yes=yes, no=no)
    if meant == {Meaning.GOOD}:
        raise ConfigurationError(
            f"the meaning of the target must be certain, however: {target.name!r} sounds like a good end, so "
            f"that {target.spelling[yes]!r} is no default ({target.counts()}). If {target.spelling[no]!r} "
            f"means default, type {target.options(bad=[no], good=[yes])}. If {target.spelling[yes]!r} does, "
            f"type {target.options(bad=[yes], good=[no])}."
        )
    if meant == {Meaning.BAD} and _says_default(target.name):
        return yes, ""
    is_code = set(target.rows) in _CODES_BY_CONVENTION
    if not meant and is_code and is_conventional_name(target.name):
        if share > 0.5:
            raise _rate_in_doubt(target, yes=yes, no=no, share=share)
        return yes, f"by convention, as the name {target.name!r} does not say it"
    raise _not_known(target, bad=[], good=[])


def _says_default(name: str) -> bool:
    """Whether a name says default itself, rather than risk, under which 1 may be the good class."""
    return meaning_of_name(re.sub("risk", " ", name, flags=re.IGNORECASE)) == {Meaning.BAD}


def _recognised(keys: list[str]) -> tuple[list[str], list[str]]:
    """Values that are recognised as ends, bad and good ones; what may still turn out is neither."""
    meanings = {key: meaning_of_value(key) for key in keys}
    bad = [key for key in keys if meanings[key] is Meaning.BAD]
    final = [key for key in bad if is_final(key)]
    return final or bad, [key for key in keys if meanings[key] is Meaning.GOOD]


def _several_values(target: TargetValues) -> ConfigurationError:
    bad, good = _ends_among(target)
    repeated = target.rows.get(fold(target.name), 0)
    if repeated and fold(target.name) not in (*bad, *good):
        lines = "1 line repeats" if repeated == 1 else f"{repeated:,} lines repeat"
        header = f" {lines} the header, it seems: delete what does."
    else:
        header = ""
    return ConfigurationError(
        f"the target must have two values, however: {target.name!r} has {len(target.rows):,} values: "
        f"{target.counts()}. Say which of them mean default and which a good end: "
        f"{target.options(bad=bad, good=good)}{_or_turned(target, bad=bad, good=good)}. Rows of all others "
        f"count as not known yet: they are kept for pretraining and not trained on.{header}"
    )


def _ends_among(target: TargetValues) -> tuple[list[str], list[str]]:
    """The bad and good ends among several values: by their words, or yes and no by the column's name."""
    truths = {key: truth for key in target.rows if (truth := truth_of(key)) is not None}
    if sorted(truths.values()) != [False, True]:
        return _recognised(list(target.rows))
    yes = next(key for key, truth in truths.items() if truth)
    no = next(key for key in truths if key != yes)
    return ([no], [yes]) if meaning_of_name(target.name) == {Meaning.GOOD} else ([yes], [no])


def _or_turned(target: TargetValues, *, bad: list[str], good: list[str]) -> str:
    """The other way round, where the name of the column does not say what yes and no mean."""
    are_flags = all(truth_of(key) is not None for key in (*bad, *good)) and bool(bad)
    if not are_flags or meaning_of_name(target.name) == {Meaning.GOOD} or _says_default(target.name):
        return ""
    return f" or {target.options(bad=good, good=bad)}"


def _not_known(target: TargetValues, *, bad: list[str], good: list[str]) -> ConfigurationError:
    first, second = target.rows
    often = ""
    if is_status_name(target.name) and all(truth_of(key) is not None for key in target.rows):
        yes = next((key for key in target.rows if truth_of(key)), first)
        often = f" In many files with such a name {target.spelling[yes]!r} means approved."
    elif meaning_of_name(target.name) == {Meaning.BAD} and not _says_default(target.name):
        often = " In some files with such a name 1 is the good class."
    if bad and good:
        options = f"type {target.options(bad=bad, good=good)}, or the other way round"
    else:
        options = (
            f"type {target.options(bad=[second], good=[first])} or "
            f"{target.options(bad=[first], good=[second])}"
        )
    return ConfigurationError(
        f"the meaning of the target must be certain, however: neither the name {target.name!r} nor its "
        f"values say which means default ({target.counts()}).{often} Nothing is guessed: {options}."
    )


def _rate_in_doubt(target: TargetValues, *, yes: str, no: str, share: float) -> ConfigurationError:
    return ConfigurationError(
        f"the meaning of the target must be certain, however: if {target.spelling[yes]!r} of {target.name!r} "
        f"means default, {share:.1%} defaulted ({target.counts()}). If it does, type "
        f"{target.options(bad=[yes], good=[no])}; if it is the good end, type "
        f"{target.options(bad=[no], good=[yes])}."
    )


def _is_decision(
    target: TargetValues, what: str, *, yes: str | None = None, no: str | None = None
) -> ConfigurationError:
    if yes is None or no is None:
        first, second = target.rows
        ways = f"{target.options(bad=[second], good=[first])} or {target.options(bad=[first], good=[second])}"
    else:
        ways = target.options(bad=[no], good=[yes])
    return ConfigurationError(
        f"the target must say who defaulted, however: {what} of the lender on an application, not what "
        f"became of a loan ({target.counts()}); a model of it predicts decisions. Name another column by "
        f"--target. If these values do stand for defaults, insist with {ways}."
    )


def _report_unknown(target: TargetValues, unknown: list[str], report: Report) -> None:
    if unknown:
        rows = sum(target.rows.get(key, 0) + target.marks.get(key, 0) for key in unknown)
        message = f"not known yet ({rows_in_words(rows)}, kept for pretraining): {target.counts(unknown)}"
        report(target.name, Severity.NOTE, message)


def _in_words(values: list[str]) -> str:
    return ", ".join(repr(value) for value in values)
