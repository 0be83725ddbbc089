"""Code pages are found by the alphabets of languages; Western European is the rule."""

import pytest

from benchmarks.code_pages import PAIRS, WESTERN, result_of, table_of
from loan_default.data.sources.code_pages import find_code_page


@pytest.mark.parametrize(
    ("language", "page"),
    [pytest.param(*pair, marks=[pytest.mark.slow] * (number % 6 > 0)) for number, pair in enumerate(PAIRS)],
)
def test_a_table_with_a_hundred_names_is_read_in_its_code_page(language, page):
    results = [result_of(table_of(language, page, n_names=100, seed=seed), page) for seed in range(8)]
    n_right = sum(result.startswith("right") for result in results)
    # Hungarian differs from Western languages by ő and ű only, which are rare.
    assert n_right >= (7 if language != "hu" else 0), results
    assert results.count("wrong") <= 1, results


@pytest.mark.parametrize("language", WESTERN)
@pytest.mark.parametrize("n_names", [2, 5, 20])
def test_a_western_table_is_read_without_a_warning(language, n_names):
    results = [
        result_of(table_of(language, "cp1252", n_names=n_names, seed=seed), "cp1252") for seed in range(8)
    ]
    assert results.count("right") >= 6, results
    assert not {"wrong"} & set(results), results


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("1,Łódź,Kraków\n", "cp1250"),
        ("1,Plzeň\n2,Děčín\n3,Třebíč\n4,Přílepy\n5,Růžová\n" * 4, "cp1250"),
        ("1,Eskişehir\n2,Iğdır\n3,Çanakkale\n4,Gümüşhane\n" * 4, "cp1254"),  # noqa: RUF001
        ("1,東京\n2,大阪市\n3,ﾄｳｷｮｳ\n4,カード\n", "shift_jis"),
        ("1,서울\n2,부산\n3,대구\n", "cp949"),
        ("1,Jäger\n2,Genève\n3,São Paulo\n", "cp1252"),
        ("1,£12.50\n2,5 €\n3,20 °C\n4,¿Qué?\n5,“so”\n", "cp1252"),
        ("1,L\u2019Aquila\n2,d\u00b4Or\n3,Nº 5 à Évry\n", "cp1252"),
    ],
)
def test_a_few_words_are_enough(text, page):
    content = text.encode(page)
    found = find_code_page(content)
    assert content.decode(found.name) == text, found


@pytest.mark.parametrize("content", [b"3,\xff\n", b"a,\x81\n", b"1,\xd1\n2,\xfe\n"])
def test_bytes_that_no_language_explains_are_damaged(content):
    assert find_code_page(content).name == ""
