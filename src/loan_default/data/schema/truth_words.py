"""Words for yes and no in six languages: English, German, French, Spanish, Portuguese and Italian.

All are folded as `values.fold` does: lower case, without outer spaces.
"""

YES = frozenset(
    {"1", "yes", "y", "true", "t", "on", "ja", "j", "wahr", "oui", "o", "vrai", "v", "sí", "si", "s", "sì"}
    | {"verdadero", "sim", "verdadeiro", "vero"}
)
NO = frozenset({"0", "no", "n", "false", "f", "off", "nein", "falsch", "non", "faux", "falso", "não", "nao"})
UNMISTAKABLE = frozenset({"0", "1", "y", "n", "t", "f"})
"""Single characters that say yes or no also beside others; an O may be meant as a zero."""


def truth_of(folded: str) -> bool | None:
    """What a folded text says: yes, no, or None where it is neither."""
    if folded in YES:
        return True
    return False if folded in NO else None
