"""The currencies of a column of money: how each is written, and whether two of them can be one."""

import re
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from loan_default.data.schema.number_texts import CURRENCY_CODES, currency_pattern

_FEW_CODES = {  # what a sign or a word may stand for; any other sign, code or word stands for itself
    "$": "USD CAD AUD NZD HKD SGD TWD MXN ARS CLP COP UYU BBD BSD BZD BMD BND FJD GYD JMD KYD LRD NAD SBD "
    "SRD TTD XCD ZWL US$ C$ CA$ A$ AU$ NZ$ HK$ S$ SG$ NT$ MX$ AR$ CL$ CO$ COL$ UY$ U$ TT$ J$ BZ$ EC$ N$ G$ "
    "Z$ FJ$",
    "US$": "USD",
    "C$": "CAD",
    "CA$": "CAD",
    "A$": "AUD",
    "AU$": "AUD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "SG$": "SGD",
    "NT$": "TWD",
    "MX$": "MXN",
    "R$": "BRL",
    "REAL": "BRL",
    "REAIS": "BRL",
    "€": "EUR",
    "EURO": "EUR",
    "EUROS": "EUR",
    "£": "GBP EGP",
    "POUND": "GBP EGP",
    "POUNDS": "GBP EGP",
    "PFUND": "GBP",
    "¥": "JPY CNY RMB",
    "CNY": "CNY RMB",
    "RMB": "CNY RMB",
    "₹": "INR",
    "RS": "INR PKR LKR NPR",
    "RUPEES": "INR PKR LKR NPR",
    "KR": "SEK NOK DKK ISK",
    "KČ": "CZK",
    "ZŁ": "PLN",
    "FT": "HUF",
    "LEI": "RON MDL",
    "FR": "CHF XAF XOF",
    "FRANKEN": "CHF",
    "FRANCS": "CHF XAF XOF",
    "FRANCHI": "CHF",
    "RM": "MYR",
    "RP": "IDR",
    "R": "ZAR",
    "₽": "RUB",
    "₺": "TRY",
    "₩": "KRW",
    "₪": "ILS",
    "₫": "VND",
    "₴": "UAH",
    "₦": "NGN",
    "₱": "PHP",
    "฿": "THB",
    "₸": "KZT",
    "PESO": "MXN ARS CLP COP UYU PHP",
    "PESOS": "MXN ARS CLP COP UYU PHP",
    "DOLLAR": "$",
    "DOLLARS": "$",
    "DÓLARES": "$",
    "DOLLARI": "$",
}
_ALIKE = str.maketrans({"\uff04": "$", "\ufe69": "$", "\uffe1": "£", "\uffe5": "¥", "\uffe0": "¢"})


def currencies_among(counts: pd.Series) -> Mapping[str, int]:
    """How a column writes currencies, each with its rows, the most frequent first; empty where it has one.

    Args:
        counts: different texts of amounts, each with its number of rows.
    """
    rows: Counter[str] = Counter()
    pattern = re.compile(currency_pattern())
    for text, count in zip(counts.index.tolist(), counts.tolist(), strict=True):
        for sign in {found.group() for found in pattern.finditer(text)}:
            rows[sign] += count
    meanings = [_meanings(sign) for sign in rows]
    if not meanings or set.intersection(*meanings):
        return {}
    return dict(rows.most_common())


def _meanings(sign: str) -> set[str]:
    """The codes of the currencies that a sign, code or word may stand for."""
    plain = sign.translate(_ALIKE).upper().rstrip(".")
    if plain[:3] in CURRENCY_CODES.split():
        plain = plain[:3]  # USD$
    codes = set(_FEW_CODES.get(plain, plain).split())
    return set(_FEW_CODES["$"].split()) if codes == {"$"} else codes
