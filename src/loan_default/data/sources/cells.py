"""What a cell of text looks like: a number in any country's writing, a date, no value, or words.

This is for finding out how a file is written; values are read by `data.schema`.
"""

import re

_NO_VALUE = re.compile(
    r"\s*(|n/?a|#n/a|nan|null|none|nil|missing|unknown|[?.*-]{1,3}|\\n|#div/0!|#null!)\s*", re.IGNORECASE
)
_SIGNS = r"[€$£¥₹₽%]|[A-Z]{3}|R\$|zł|Kč|kr"
_NUMBER = re.compile(
    rf"\s*\(?\s*[+-]?\s*(?:{_SIGNS})?\s*[+-]?"
    r"(?:\d{1,3}(?:[.,' \u00a0\u202f\u2019]\d{3})+(?:[.,]\d*)?|\d+(?:[.,]\d*)?|[.,]\d+)"
    rf"(?:[eE][+-]?\d+)?\s*(?:{_SIGNS})?\s*-?\s*\)?\s*"
)
_TIME = re.compile(
    r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([AP]M)?)?\s*"
    r"(Z|[+-]\d{2}:?\d{2})?\s*"
)
_TOTALS = (
    r"(grand\s+|sub-?\s?)?total(s|e|en)?|totaux|sums?|summen?|insgesamt|gesamt(summe|betrag|ergebnis)?|"
    r"suma|soma|somme|somma|totaal|razem|ogółem|celkem|összesen|summa|yhteensä|toplam|итого|всего|"
    r"合计|总计|合計|count|anzahl"
)
_COUNTED = (
    r"of|the|in|number|no|general|général|générale|geral|amounts?|balances?|loans?|rows?|records?|lines?|"
    r"applications?|accounts?|customers?|applicants?|der|kredite|anträge|zeilen|datensätze|de|des|du|prêts|"
    r"lignes|filas|préstamos|registros|linhas|righe|prestiti"
)
_TOTAL = re.compile(rf"\W*({_TOTALS})\b(\W+({_COUNTED})\b)*[\W\d]*(({_COUNTED})\b\W*)*", re.IGNORECASE)
"""A text that says nothing but "total": "Total Energies" and "Sum Bank" are names."""
_END = re.compile(
    r"\W*(eof|trailer|trl|tr|end|footer|end of (file|report|data))\W*|"
    r"\W*\d+\s+(rows?|records?|zeilen|datensätze|lignes|filas|linhas|righe)\b.*",
    re.IGNORECASE,
)
_COUNT = re.compile(r"(?:n\s*=\s*)?\d[\d.,'\s]*\s+[^\W\d_]+")
"""A number of things: "420 applications"."""
_RULE = re.compile(r"[-=_*#.~+\s]{3,}")


def is_no_value(cell: str) -> bool:
    """Whether a cell is empty or one of the usual markers for "not known"."""
    return not cell[:1].isdigit() and _NO_VALUE.fullmatch(cell) is not None


def is_number(cell: str) -> bool:
    """Whether a cell is a number, with any marks, percent or currency."""
    return cell.isdigit() or _NUMBER.fullmatch(cell) is not None


def is_time(cell: str) -> bool:
    """Whether a cell is a date or time of digits."""
    return _TIME.fullmatch(cell) is not None


def is_footer(cells: list[str], n_columns: int) -> bool:
    """Whether cells after the last row are a total, a note or a blank, and no row of `n_columns` fields.

    What may be a row is one: it would be lost otherwise. So a text that says "total" is not enough. Most
    fields must be empty or not be there, and those beside the text must be numbers.
    """
    if n_columns < 2:
        return False
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled:
        return True
    first, others = filled[0], filled[1:]
    has_all_fields = len(cells) == n_columns
    says_so = _TOTAL.fullmatch(first) is not None or _END.fullmatch(first) is not None
    if says_so and all(is_number(cell) or _TOTAL.fullmatch(cell) for cell in others):
        return not has_all_fields or (n_columns > 2 and len(filled) * 2 <= n_columns)
    if says_so and all(_COUNT.fullmatch(cell) for cell in others):
        return len(filled) * 4 <= n_columns
    if others or (has_all_fields and (n_columns < 3 or not cells[0].strip())):
        return False
    has_words = re.search(r"[^\W\d_]{2,}\W*\s+\W*\w|[^\W\d_]{2,}:", first) is not None
    return _RULE.fullmatch(first) is not None or has_words
