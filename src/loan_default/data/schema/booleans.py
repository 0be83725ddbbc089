"""Words for yes and no in English, German, French, Spanish, Portuguese, Italian, Polish and Czech."""

from collections.abc import Mapping

from loan_default.data.schema.column import Column

YES = frozenset(
    {"1", "yes", "y", "true", "t", "on", "ja", "j", "wahr", "oui", "o", "vrai", "v", "sí", "si", "s", "sì"}
    | {"verdadero", "sim", "verdadeiro", "vero", "tak", "prawda", "ano", "pravda"}
)
NO = frozenset(
    {"0", "no", "n", "false", "f", "off", "nein", "falsch", "non", "faux", "falso", "não", "nao"}
    | {"nie", "fałsz", "ne", "nepravda"}
)
UNMISTAKABLE = frozenset({"0", "1", "y", "n", "t", "f"})
"""Single characters that say yes or no also beside others; an O may be meant as a zero."""
_PAIRS = frozenset(
    {
        ("0", "1"),
        ("no", "yes"),
        ("n", "y"),
        ("false", "true"),
        ("f", "t"),
        ("off", "on"),
        ("nein", "ja"),
        ("falsch", "wahr"),
        ("non", "oui"),
        ("faux", "vrai"),
        ("no", "sí"),
        ("no", "si"),
        ("falso", "verdadero"),
        ("não", "sim"),
        ("nao", "sim"),
        ("falso", "verdadeiro"),
        ("falso", "vero"),
        ("nie", "tak"),
        ("fałsz", "prawda"),
        ("ne", "ano"),
        ("nepravda", "pravda"),
    }
)
"""What two categories must be, without case, to be a no and a yes beyond doubt."""


def boolean_aliases(column: Column) -> Mapping[str, str]:
    """Other spellings of the two categories of a column that are no and yes; none for another column.

    They are so by its format, or because they are a pair of words that mean nothing else.
    """
    if len(column.categories) != 2:
        return {}
    no, yes = column.categories
    if column.format != "boolean":
        folded = no.strip().casefold(), yes.strip().casefold()
        if folded[::-1] in _PAIRS:
            no, yes = yes, no
        elif folded not in _PAIRS:
            return {}
    return dict.fromkeys(sorted(NO), no) | dict.fromkeys(sorted(YES), yes)


def truth_among_numbers(folded: str) -> float | None:
    """The 1 or 0 that a folded word for yes or no means beside numbers; None where it means none of them."""
    truth = None if folded == "o" else truth_of(folded)  # an O may be meant as a zero
    return None if truth is None else float(truth)


def truth_of(folded: str) -> bool | None:
    """What a folded text says: yes, no, or None where it is neither."""
    if folded in YES:
        return True
    return False if folded in NO else None
