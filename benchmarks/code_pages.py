"""How often the code page of a table is found from the names of countries and languages in it.

    python -m benchmarks.code_pages       # half a minute

The names are those of Unicode's CLDR, each language in the code pages that its files come in. "Unwarned" are
tables that are read wrong and that nobody is warned of.
"""

import random
from collections import Counter

from babel import Locale

from loan_default.data.sources.code_pages import find_code_page

WESTERN = ["de", "fr", "es", "pt", "it", "nl", "sv", "da", "nb", "fi", "is", "ca"]
_CENTRAL = ["pl", "cs", "sk", "hu", "hr", "sl", "ro"]
PAIRS = [
    *((language, "cp1252") for language in [*WESTERN, "et"]),
    *((language, "cp850") for language in ["de", "fr", "es", "pt", "sv"]),
    *((language, "mac_roman") for language in ["de", "fr", "es"]),
    *((language, "cp1250") for language in _CENTRAL),
    *((language, "iso8859_2") for language in ["pl", "cs", "sk", "hu", "hr"]),
    *((language, "cp852") for language in ["pl", "cs", "hu"]),
    *(("tr", "cp1254"), ("et", "cp1257"), ("lt", "cp1257"), ("lv", "cp1257")),
    *(("ru", "cp1251"), ("ru", "koi8_r"), ("ru", "cp866"), ("uk", "cp1251"), ("bg", "cp1251")),
    *(("el", "cp1253"), ("he", "cp1255"), ("ar", "cp1256"), ("th", "cp874")),
    *(("ja", "shift_jis"), ("ja", "euc_jp"), ("zh", "gb18030"), ("zh_Hant", "big5"), ("ko", "euc_kr")),
]
"""Languages, each with a code page of its files."""
TABLES = 25
"""Tables of each pair."""


def main() -> None:
    """Print how many tables are read right, by the number of names."""
    print("| names | tables | right | right, warned of | wrong, warned of | wrong, unwarned |")
    print("|---|---|---|---|---|---|")
    for n_names in (2, 5, 20, 100):
        counts: Counter[str] = Counter()
        for language, page in PAIRS:
            for seed in range(TABLES):
                counts[result_of(table_of(language, page, n_names=n_names, seed=seed), page)] += 1
        shown = [f"{counts[each]:,}" for each in ("right", "right, warned", "wrong, warned", "wrong")]
        print(f"| {n_names} | {counts.total():,} | {' | '.join(shown)} |")


def result_of(content: bytes, page: str) -> str:
    """Whether a table in a code page is read right, and whether a person is warned of it."""
    found = find_code_page(content)
    is_right = content.decode(found.name or "utf-8", "replace") == content.decode(page)
    return ("right" if is_right else "wrong") + ", warned" * found.is_guess


def table_of(language: str, page: str, *, n_names: int, seed: int) -> bytes:
    """Lines that each hold a name with an accent or of another alphabet, drawn at random."""
    locale = Locale.parse(language)
    names = [str(name) for name in [*locale.territories.values(), *locale.languages.values()]]
    if language == "ro":  # the code page has the cedillas that stood for commas
        names = [name.translate(str.maketrans("șțȘȚ", "şţŞŢ")) for name in names]
    possible = [name for name in names if not name.isascii() and _is_in(name, page)]
    drawn = random.Random(f"{language} {page} {seed}").choices(possible, k=n_names)
    return "".join(f"{number},{name},3\n" for number, name in enumerate(drawn)).encode(page)


def _is_in(name: str, page: str) -> bool:
    try:
        name.encode(page)
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    main()
