"""The code page of text that is neither ASCII nor Unicode, by the characters that languages have.

Bytes alone do not say their code page: 0xB3 is "ł" in one and "³" in another. So the text is read by each
page, and the page is taken by which it holds the characters of one language, where characters belong. Western
European is the rule, and keeps what another page explains no better.
"""

import codecs
import re
from collections import Counter
from dataclasses import dataclass

_WESTERN = {
    "German": "äöüßé", "French": "àâæçéèêëîïôœùûüÿ", "Spanish": "áéíñóúü", "Portuguese": "áâãàçéêíóôõúü",
    "Italian": "àèéìíòóùú", "Catalan": "àçéèíïóòúü·", "Dutch": "áâçéêëèïíóöúü", "Swedish, Finnish": "åäöéšž",
    "Danish, Norwegian": "æøåéöäüòô", "Icelandic": "áðéíóúýþæö", "Estonian": "äöüõšž",
}  # fmt: skip
_CENTRAL = {
    "Polish": "ąćęłńóśźż", "Czech": "áčďéěíňóřšťúůýž", "Slovak": "áäčďéíĺľňóôŕšťúýž",
    "Hungarian": "áéíóöőúüű", "Croatian, Slovene": "čćđšž", "Romanian": "ăâîşţ",
}  # fmt: skip
_BALTIC = {"Lithuanian": "ąčęėįšųūž", "Latvian": "āčēģīķļņšūž", "Estonian": "äöüõšž"}
_TURKISH = {"Turkish": "çğıöşüâîûi̇"}
_LATIN = (_WESTERN, _CENTRAL, _BALTIC, _TURKISH)
_CYRILLIC = {
    "Russian": "абвгдежзийклмнопрстуфхцчшщъыьэюяё№",
    "Ukrainian": "абвгдежзийклмнопрстуфхцчшщьюяєіїґ’№",
    "Serbian": "абвгдђежзијклљмнњопрстћуфхцчџш",
}
_GREEK = {"Greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"}
_HEBREW = {
    "Hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת" + "".join(map(chr, [*range(0x05B0, 0x05C3), 0x05F3, 0x05F4]))
}
_ARABIC = {"Arabic": "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچژگ"}
_THAI = {"Thai": "".join(map(chr, [*range(0x0E01, 0x0E3B), *range(0x0E40, 0x0E4F)]))}
_POINTS = "\u05b0-\u05c7\u05f3\u05f4\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
"""Vowels and accents that are characters of their own within words."""
_PAGES = {
    "cp1252": _WESTERN, "cp1250": _CENTRAL, "cp1254": _TURKISH, "cp1257": _BALTIC, "iso8859_2": _CENTRAL,
    "cp850": _WESTERN, "cp852": _CENTRAL, "mac_roman": _WESTERN, "cp1255": _HEBREW, "cp1251": _CYRILLIC,
    "koi8_r": _CYRILLIC, "cp866": _CYRILLIC, "cp1253": _GREEK, "cp1256": _ARABIC, "cp874": _THAI,
}  # fmt: skip
"""Code pages of one byte a character, the usual ones first, each with its languages and their characters."""
_USUAL = "cp1252"
_HANGUL, _KANA, _KANJI = r"[\uac00-\ud7a3]", r"[\u3041-\u30ff]", r"[\u4e00-\u9fff]"
_WIDE = {
    "cp949": (_HANGUL, ""),
    "shift_jis": (_KANA, _KANJI),
    "euc_jp": (_KANA, _KANJI),
    "gb18030": ("", _KANJI),
}
_WIDE |= {"big5": ("", _KANJI)}
"""Code pages of two bytes a character: signs that show the language, and others that belong to it."""
_COMMON = {
    "gb18030": range(0xB0, 0xD8),
    "big5": range(0xA4, 0xC7),
    "shift_jis": range(0x88, 0x98),
    "euc_jp": range(0xB0, 0xD0),
}
"""First bytes of the characters that are common, by code page."""
_RARE, _UNREADABLE = 0.7, 5.0
"""What a character counts that is not one of the common ones, and what bytes count that are no character."""
_FEWEST_EXPLAINED = 0.5
_MAKES_SENSE = 0.9
_BETTER, _FEWEST_BETTER = 0.01, 0.7
"""By so much another page must explain the text better than the usual one: as a share, and in characters."""
_PER_STRANGER, _CHARACTERS_PER_STRANGER = 0.025, 0.4
"""What each character costs that only another Western language has: lists of towns mix languages."""
_MIXTURE, _NEARLY = 0.1, 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class CodePage:
    """A code page, and how sure it is."""

    name: str
    """Of the codec; "" = the text makes sense by none, so that its bytes are damaged ones."""
    is_guess: bool
    """Whether another page reads the text about as well."""


def find_code_page(odd: bytes) -> CodePage:
    """The code page of lines that hold bytes which are neither ASCII nor UTF-8."""
    texts = {page: odd.decode(page, "replace") for page in _PAGES}
    scores = {page: _score(text, _PAGES[page]) for page, text in texts.items()}
    usual = scores[_USUAL].with_strangers
    # Signs and characters that stand alone prove no other page.
    possible = [page for page in _PAGES if scores[page].has_words and texts[page] != texts[_USUAL]]
    wide = {page: _wide_score(odd, page) for page in _WIDE}
    # Only of the usual page a mixture of languages is likely.
    others = {page: max(scores[page].one, scores[page].with_strangers - _MIXTURE) for page in possible} | wide
    best = max(others, key=lambda page: others[page])
    if max(usual, others[best]) < _FEWEST_EXPLAINED:
        return CodePage(name="", is_guess=False)
    n_characters = sum(not character.isascii() for character in texts[_USUAL])
    if (others[best] - usual) * n_characters > max(_FEWEST_BETTER, _BETTER * n_characters):
        return CodePage(name=codecs.lookup(best).name, is_guess=True)
    by_one_language = max([*(scores[page].one for page in possible), *wide.values()])
    is_guess = by_one_language > max(usual - _NEARLY, scores[_USUAL].one)
    return CodePage(name=_USUAL, is_guess=is_guess)


def may_be_in(odd: bytes, page: str, *, found: str) -> bool:
    """Whether lines can be in an encoding that is not the one found for them.

    One Latin page may be taken for another one. Of a Latin page and one of another alphabet, text makes sense
    in one only, unless it is very short.
    """
    name, other = codecs.lookup(page).name, codecs.lookup(found).name
    latin = {codecs.lookup(each).name for each, languages in _PAGES.items() if languages in _LATIN}
    others = {codecs.lookup(each).name for each in [*_PAGES, *_WIDE]} - latin
    if not ({name, other} & latin and {name, other} & others):
        return True
    for each, languages in _PAGES.items():
        if codecs.lookup(each).name == name:
            return _score(odd.decode(each, "replace"), languages).one >= _MAKES_SENSE
    return _wide_score(odd, page) >= _MAKES_SENSE


@dataclass(frozen=True, kw_only=True, slots=True)
class _Score:
    """Share of the characters beyond ASCII that languages explain."""

    one: float
    """By the characters of the best single language."""
    with_strangers: float
    """By that and by other languages of the page."""
    has_words: bool
    """Whether such a character stands within a word."""


_WORDS_OF_ONE_CHARACTER = "àáéèóôöåæäüаивксоуяі"
"""In languages or in lists of initials: ÿ alone is a damaged byte."""
_WORDS = re.compile(rf"[^\W\d_](?:[^\W\d_]|[{_POINTS}])*(?:[’'·][^\W\d_]+)*|[^\x00-\x7f]")
_SIGNS = re.compile(
    r"[«»“”„‘’‚–—…](?![^\W\d_])|(?<![^\W\d_])[«»“”„‘’‚–—…]|(?<=[^\W\d_])[’‘´](?=[^\W\d_])"
    r"|[€£¥¢§°²³®©™±×\u00a0·¹¼½¾µ‰•†](?![^\W\d_])|(?<![^\W\d_])°(?=[CF]\b)|(?<![^\W\d_])[¿¡]"
    r"|(?<![a-zß-ÿ])[ºª](?![^\W\d_])"
)
"""Signs where they may stand: not within words."""


def _score(text: str, languages: dict[str, str]) -> _Score:
    n_all = max(1, sum(not character.isascii() for character in text))
    signs = sum(not match[0].isascii() for match in _SIGNS.finditer(text))
    within, alone = _characters_in_words(text)
    characters = within + alone
    shares = {}
    for name, alphabet in languages.items():
        shares[name] = sum(rows for character, rows in characters.items() if character in alphabet)
    best = max(shares, key=lambda name: shares[name])
    known = "".join(languages.values())
    strangers = [
        character for character in characters if character in known and character not in languages[best]
    ]
    one = (shares[best] + signs) / n_all
    union = (shares[best] + signs + sum(characters[character] for character in strangers)) / n_all
    price = max(_PER_STRANGER, _CHARACTERS_PER_STRANGER / n_all)
    return _Score(one=one, with_strangers=max(one, union - price * len(strangers)), has_words=bool(within))


def _characters_in_words(text: str) -> tuple[Counter[str], Counter[str]]:
    """The characters beyond ASCII, in lower case, where one may stand: within words, and alone."""
    found: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for word in _WORDS.findall(text):
        if word.isascii():
            continue
        has_ascii = re.search("[a-zA-Z]", word) is not None
        for index, character in enumerate(word):
            if character.isascii():
                continue
            is_capital_within = character.isupper() and index > 0 and word[index - 1].islower()
            is_latin = character.lower() < "\u0370"
            if is_capital_within or (has_ascii and not is_latin):
                continue
            if len(word) > 1:
                found[character.lower()] += 1
            elif character.lower() in _WORDS_OF_ONE_CHARACTER:
                alone[character.lower()] += 1
    return found, alone


def _wide_score(odd: bytes, page: str) -> float:
    """The share of characters that a page of two bytes a character explains."""
    text = odd.decode(page, "replace")
    shows, belongs = _WIDE[page]
    count = n_all = 0.0
    has_shown = bool(shows) and re.search(shows, text) is not None
    for match in re.finditer(r"[^\x00-\x7f]", text):
        character = match[0]
        n_all += 1 if character != "\ufffd" else _UNREADABLE
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha()):
            continue
        if shows and re.match(shows, character):
            count += 1
        elif belongs and re.match(belongs, character):
            is_common = character.encode(page)[0] in _COMMON[page]
            count += 1.0 if is_common and (has_shown or not shows) else _RARE
        elif re.match(r"[\u3000-\u303f\uff01-\uff5e\u2014-\u2026・ー]", character):
            count += 1
    return count / n_all if n_all else 0.0
