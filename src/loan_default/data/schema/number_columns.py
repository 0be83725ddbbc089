"""Numbers of a whole column of texts by Arrow, without a loop over its values; `number_texts` has the rules.

Apart from those rules, so that a process which reads single records does without Arrow.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

from loan_default.data.schema.capped_numbers import NumberReader
from loan_default.data.schema.column import Column
from loan_default.data.schema.durations import DURATION_FORMATS
from loan_default.data.schema.number_texts import (
    CURRENCY_SIGN,
    EXPONENT,
    INFINITY_PATTERN,
    PATTERN_GROUPS,
    PERCENT_SIGN,
    PLAIN_CHARACTERS,
    grouping_mark,
    number_pattern,
    number_reader,
    whole_number_pattern,
)


def plain_numbers(texts: pa.Array, column: Column) -> pa.Array:
    """The numbers of trimmed texts, float64; null where a text is none, or is null."""
    if column.format in (*DURATION_FORMATS, "boolean"):
        return _each_distinct(texts, number_reader(column))
    if not column.capped:
        return _exact_numbers(texts, column)
    numbers = _exact_numbers(texts, column)
    left = pc.if_else(pc.is_null(numbers), texts, pa.scalar(None, texts.type))
    return pc.coalesce(numbers, _each_distinct(left, number_reader(column)))


def _exact_numbers(texts: pa.Array, column: Column) -> pa.Array:
    plain = texts
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        for character, others in PLAIN_CHARACTERS:
            plain = pc.replace_substring_regex(plain, f"[{others}]", character)
    if not column.format:
        return _marked_numbers(plain, column)
    numbers = _matched_numbers(plain, number_pattern(column, currency=CURRENCY_SIGN), column)
    if column.format == "share":
        is_percent = pc.match_substring_regex(plain, PERCENT_SIGN)
        numbers = pc.if_else(is_percent, pc.divide(numbers, 100.0), numbers)
    if column.format == "money":
        # An expression with every currency takes ten times as long: only what is left is tried by it.
        left = pc.if_else(pc.is_null(numbers), plain, pa.scalar(None, texts.type))
        if left.null_count < len(left):
            numbers = pc.coalesce(numbers, _matched_numbers(left, number_pattern(column), column))
    infinite = pc.match_substring_regex(texts, INFINITY_PATTERN)
    if pc.any(infinite).as_py():
        infinities = pc.if_else(infinite, texts, pa.scalar(None, texts.type))
        numbers = pc.coalesce(numbers, pc.cast(infinities, pa.float64()))
    return numbers


def _marked_numbers(plain: pa.Array, column: Column) -> pa.Array:
    """Numbers that only have marks: no group of the expression is needed, which is faster."""
    decimal = re.escape(column.decimal)
    pattern = rf"^[+-]?(?:(?:{whole_number_pattern(column)})(?:{decimal}[0-9]*)?|{decimal}[0-9]+){EXPONENT}$"
    readable = pc.or_(
        pc.match_substring_regex(plain, pattern), pc.match_substring_regex(plain, INFINITY_PATTERN)
    )
    if not column.thousands:  # 1,250 alone
        n_groups = pc.count_substring(plain, grouping_mark(column))
        has_fraction = pc.match_substring_regex(plain, f"{decimal}[0-9]")
        readable = pc.and_(readable, pc.or_(pc.not_equal(n_groups, 1), has_fraction))
    numbers = pc.if_else(readable, plain, pa.scalar(None, plain.type))
    numbers = pc.replace_substring(numbers, grouping_mark(column), "")
    return pc.cast(pc.replace_substring(numbers, column.decimal, "."), pa.float64())


def _matched_numbers(plain: pa.Array, pattern: str, column: Column) -> pa.Array:
    found = pc.extract_regex(plain, pattern)
    opened, before, inside, whole, fraction, exponent, after, closed = (
        pc.struct_field(found, name) for name in PATTERN_GROUPS
    )
    n_groups = pc.count_substring(whole, grouping_mark(column))
    whole = pc.replace_substring(whole, grouping_mark(column), "")
    fraction = pc.replace_substring(fraction, column.decimal, ".")
    empty = pa.scalar("", plain.type)
    signs = pc.binary_join_element_wise(before, inside, after, empty)
    has_open, has_close = pc.not_equal(opened, ""), pc.not_equal(closed, "")
    is_wrong = pc.or_(pc.greater(pc.binary_length(signs), 1), pc.xor(has_open, has_close))
    is_wrong = pc.or_(is_wrong, pc.and_(pc.not_equal(signs, ""), has_open))
    is_doubtful = pc.equal(whole, "")
    if not column.thousands:
        is_doubtful = pc.or_(is_doubtful, pc.equal(n_groups, 1))
    is_wrong = pc.or_(is_wrong, pc.and_(is_doubtful, pc.less(pc.binary_length(fraction), 2)))
    minus = pc.if_else(pc.or_(pc.equal(signs, "-"), has_open), pa.scalar("-", plain.type), empty)
    number = pc.binary_join_element_wise(minus, whole, fraction, exponent, empty)
    return pc.cast(pc.if_else(is_wrong, pa.scalar(None, plain.type), number), pa.float64())


def _each_distinct(texts: pa.Array, read: NumberReader) -> pa.Array:
    encoded = texts.dictionary_encode()
    numbers = pa.array([read(text) for text in encoded.dictionary.to_pylist()], pa.float64())
    return pc.take(numbers, encoded.indices)
