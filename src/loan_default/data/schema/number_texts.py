"""Numbers as people write them: with marks, as percent, as money, as durations.

    read = number_reader(column)      # format = "money", decimal = ",", thousands = "."
    read("1.250,50 €")                # 1250.5

`number_columns` reads whole columns by the same regular expression, which Python and Arrow understand alike.
Marks are strict: with "," between thousands, "1,25" is no number, since it may be a decimal fraction; "1,250"
and "1,00,000" can only be one thing. Where no mark is declared between thousands, what can be read in one way
is: "1,250.00" and "1,250,000" beside decimal points, and not "1,250". Texts must have been trimmed.
"""

import re
from dataclasses import replace

from loan_default.data.schema.booleans import truth_among_numbers
from loan_default.data.schema.capped_numbers import NumberReader, capped_reader
from loan_default.data.schema.column import Column
from loan_default.data.schema.durations import DURATION_FORMATS, duration_reader

INFINITY_PATTERN = r"^[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?$"

PLAIN_CHARACTERS = (  # what replaces others, all of which are not ASCII
    # Blanks that are typeset; among them the ones that French and SI put between thousands.
    (" ", "\N{NO-BREAK SPACE}\u1680\u2000-\u200a\u202f\u205f\u3000"),
    ("-", "\N{MINUS SIGN}\u2010-\u2013\ufe63\uff0d"),
    ("'", "\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\N{ACUTE ACCENT}"),
    ("%", "\N{FULLWIDTH PERCENT SIGN}\N{SMALL PERCENT SIGN}"),
)
CURRENCY_SIGNS = "$¢£¤¥֏؋৳฿៛\u20a0-\u20c0\ufdfc\ufe69\uff04\uffe0\uffe1\uffe5\uffe6"
CURRENCY_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF "
    "GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK "
    "LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR "
    "PAB PEN PGK PHP PKR PLN PYG QAR RMB RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP "
    "SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR "
    "ZMW ZWL"
)
_CURRENCY_WORDS = (
    "euros euro dollars dollar dólares dollari pounds pfund reais real pesos franken francs franchi rupees "
    "Rs. Rs Kč zł kr. kr Ft lei Fr. Fr RM Rp"
)
_COUNTRIES = (  # never any word: K, M and MM before a sign stand for thousands and millions
    "US|R|A|C|NZ|HK|S|NT|CA|AU|SG|MX|RD|AR|CL|CO|COL|UY|U|TT|J|BZ|EC|N|G|Z|ZW|FJ|CN|JP|GB|E|LE|IR|SY"
)
CURRENCY_SIGN = f"(?:(?:{_COUNTRIES})?[{CURRENCY_SIGNS}])?"
"""The expression of a sign of a currency, or of nothing."""
_PERCENT_WORDS = (
    "percent",
    "per cent",
    "pct",
    "prozent",
    "pour cent",
    "por ciento",
    "por cento",
    "per cento",
)
PERCENT_SIGN = f"[%\uff05\ufe6a]|(?i:{'|'.join(_PERCENT_WORDS)})"
"""The expression of what says in a text that its number is percent."""
EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
"""The expression of an exponent, or of nothing."""


def has_rules(column: Column) -> bool:
    """Whether a numerical column says how text is read: by a format, marks or missing markers."""
    return bool(column.missing) or not is_plain(column)


def is_plain(column: Column) -> bool:
    """Whether text in a numerical column is read as plain numbers, such as -1.5e3."""
    return not column.format and column.decimal == "." and not column.thousands and not column.capped


def number_reader(column: Column) -> NumberReader:
    """The reader of single texts of a numerical column."""
    read = duration_reader(column) if column.format in DURATION_FORMATS else _marked_number_reader(column)
    is_boolean = column.format == "boolean"
    infinity = re.compile(INFINITY_PATTERN)

    def read_any(text: str) -> float | None:
        number = read(text)
        if number is None and is_boolean:
            number = truth_among_numbers(text.casefold())
        return float(text) if number is None and infinity.match(text) else number

    if column.capped and column.format not in DURATION_FORMATS:
        return capped_reader(read_any, column.missing)
    return read_any


def _marked_number_reader(column: Column) -> NumberReader:
    pattern, table, grouping = re.compile(number_pattern(column)), _translation(), grouping_mark(column)
    is_declared = bool(column.thousands)
    of_shares = re.compile(PERCENT_SIGN) if column.format == "share" else None

    def read(text: str) -> float | None:
        match = pattern.match(text.translate(table))
        if match is None:
            return None
        group = match.groupdict(default="")
        signs = group["before"] + group["inside"] + group["after"]
        if len(signs) > 1 or bool(group["open"]) != bool(group["close"]) or (signs and group["open"]):
            return None
        whole = group["whole"].replace(grouping, "") if grouping else group["whole"]
        fraction = group["fraction"].replace(column.decimal, ".")
        n_groups = len(group["whole"]) - len(whole)
        if len(fraction) < 2 and (not whole or (n_groups == 1 and not is_declared)):
            return None
        minus = "-" if signs == "-" or group["open"] else ""
        number = float(f"{minus}{whole}{fraction}{group['exponent']}")
        return number / 100 if of_shares and of_shares.search(text) else number

    return read


def missing_numbers(column: Column) -> tuple[float, ...]:
    """The numbers among the missing markers of a column of numbers: -1 of "-1", however it is written."""
    if not column.missing:
        return ()
    read = number_reader(replace(column, capped=False))  # "< 1" among the markers does not make 0 one
    numbers = (read(text.strip()) for text in column.missing)
    return tuple(number for number in numbers if number is not None)


PATTERN_GROUPS = ("open", "before", "inside", "whole", "fraction", "exponent", "after", "close")


def number_pattern(column: Column, *, currency: str = "") -> str:
    """The expression of a number's text; its groups are those of `PATTERN_GROUPS`, in that order.

    `currency` is what may stand beside money; empty = any sign, code or word.
    """
    currency = currency or f"{currency_pattern()}?"
    decimal, digits = re.escape(column.decimal), whole_number_pattern(column)
    fewest = "+" if column.format else "*"
    number = f"(?P<whole>(?:{digits})?)(?P<fraction>(?:{decimal}[0-9]{fewest})?)(?P<exponent>{EXPONENT})"
    if column.format == "money":
        # "1.250,-" and "1.250,--" stand for ",00".
        number = f" *{currency} *(?P<inside>[+-]?) *{number}(?:{decimal}--?)? *{currency} *"
        after = "(?P<after>[+-]?)"
    elif column.format in ("percent", "share"):
        words = "|".join(_PERCENT_WORDS)
        number = f" *%? *(?P<inside>){number} *(?:%|(?i:{words}))? *(?i:p\\.? ?a\\.?)? *"
        after = "(?P<after>)"
    else:
        return f"^(?P<open>)(?P<before>[+-]?)(?P<inside>){number}(?P<after>)(?P<close>)$"
    return rf"^(?P<open>\(?) *(?P<before>[+-]?){number}{after} *(?P<close>\)?)$"


def whole_number_pattern(column: Column) -> str:
    """The expression of a whole number with its mark between thousands."""
    grouping = grouping_mark(column)
    digits = f"[1-9][0-9]{{0,2}}(?:{re.escape(grouping)}[0-9]{{3}})+|[0-9]+"
    if grouping == ",":  # as in India: 1,00,000
        digits = f"[1-9][0-9]?(?:,[0-9]{{2}})+,[0-9]{{3}}|{digits}"
    return digits


def currency_pattern() -> str:
    """The expression of a currency beside a number: a sign, a code or a word, the longest that there is."""
    names = sorted(f"{CURRENCY_CODES} {_CURRENCY_WORDS}".split(), key=len, reverse=True)
    words = "|".join(re.escape(name) for name in names)
    codes = "|".join(CURRENCY_CODES.split())
    return f"(?:(?:{codes}|{_COUNTRIES})?[{CURRENCY_SIGNS}]|(?i:{words}))"


def grouping_mark(column: Column) -> str:
    """The mark between thousands: as declared, otherwise the one that is not the decimal mark."""
    declared = column.thousands.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return declared or ("." if column.decimal == "," else ",")


def _translation() -> dict[int, str]:
    """The replacements of `PLAIN_CHARACTERS`, as `str.translate` takes them."""
    return {
        ord(other): character
        for character, others in PLAIN_CHARACTERS
        for other in re.findall(f"[{others}]", "".join(map(chr, range(0x10000))))
    }
