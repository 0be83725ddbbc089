import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.evaluation import charts

LABEL = 'A "label" with <angles> & more'


def _groups(size: int = 10) -> charts.Groups:
    predicted = np.linspace(0.6, 0.02, size)
    return charts.Groups(
        predicted=predicted, observed=predicted * 0.9, low=predicted * 0.7, high=predicted * 1.1
    )


def _all_charts() -> dict[str, str]:
    edges = np.linspace(0.01, 0.9, 31)
    cut = np.linspace(0.01, 0.9, 50)
    lines = [
        charts.Line(name="first", x=range(1, 9), y=np.linspace(1, 0.2, 8), mark=6),
        charts.Line(name="second", x=range(1, 9), y=np.linspace(0.9, 0.3, 8)),
    ]
    shares = np.linspace(0.06, 0.005, 30)
    return {
        "epochs": charts.epochs_chart("epochs", lines, label=LABEL, y_label="loss"),
        "roc": charts.roc_chart(
            {"this model": ([0, 0.1, 1], [0, 0.6, 1]), "logistic regression": ([0, 0.3, 1], [0, 0.5, 1])},
            label=LABEL,
        ),
        "ks": charts.ks_chart(cut, cut**2, np.sqrt(cut), at=float(cut[20]), label=LABEL),
        "scores": charts.score_chart(edges, shares, shares[::-1], label=LABEL),
        "deciles": charts.deciles_chart(_groups(), label=LABEL),
        "reliability": charts.reliability_chart(_groups(), before=_groups(6), label=LABEL),
        "importance": charts.importance_chart(["income", "age"], [0.02, -0.001], [0.003, 0.002], label=LABEL),
    }


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return _all_charts()


def _texts(svg: str) -> list[str]:
    words = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [element.text.strip() for element in words if element.text]


def test_every_chart_is_one_accessible_element_that_scales(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("role") == "img"
        assert root.get("aria-label") == LABEL
        assert "viewBox" in root.attrib
        assert not {"width", "height"} & root.attrib.keys()


def test_charts_can_share_a_page(drawn: dict[str, str]) -> None:
    page = "".join(drawn.values())
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r'href="#([^"]*)"', page)) | set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)
    assert "<style" not in page, "a rule of one chart would apply to the whole page"
    assert "<metadata" not in page


def test_charts_leave_colours_and_fonts_to_the_page(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        assert "font-family" not in svg
        bare = re.sub(r"var\(--chart-[a-z0-9-]+, #[0-9a-f]{6}\)", "", svg)
        assert re.findall(r"(?:fill|stroke): #\w+", bare) == []


def test_the_same_input_gives_the_same_text(drawn: dict[str, str]) -> None:
    assert _all_charts() == drawn


def test_epochs_name_the_marked_one_in_the_legend(drawn: dict[str, str]) -> None:
    assert {"first (best: epoch 6)", "second"} <= set(_texts(drawn["epochs"]))


def test_many_members_share_a_colour_and_need_no_legend() -> None:
    lines = [charts.Line(name=f"member {n}", x=range(1, 4), y=[1, 2, n]) for n in range(12)]
    svg = charts.epochs_chart("many", lines, label=LABEL, y_label="loss")
    assert "member" not in " ".join(_texts(svg))
    assert "series-2" not in svg


def test_one_epoch_is_visible_as_a_point() -> None:
    svg = charts.epochs_chart("one", [charts.Line(name="only", x=[1], y=[0.5])], label=LABEL, y_label="loss")
    assert "<use " in svg


def test_ks_says_how_large_and_where() -> None:
    cut = np.array([0.1, 0.2, 0.3])
    svg = charts.ks_chart(cut, np.array([0.1, 0.3, 1.0]), np.array([0.5, 0.8, 1.0]), at=0.2, label=LABEL)
    assert "KS 0.500 at PD 20.0%" in _texts(svg)


def test_roc_draws_both_models_from_corner_to_corner(drawn: dict[str, str]) -> None:
    texts = _texts(drawn["roc"])
    assert texts.index("this model") < texts.index("logistic regression") < texts.index("no skill")
    # Both curves and the diagonal begin at one point and end at one point.
    paths = re.findall(r'<path d="(M[^"]*)" clip-path', drawn["roc"])
    corners = [
        (path.split("L")[0].strip("M \n"), path.split("L")[-1].strip()) for path in paths if "L" in path
    ]
    assert max(corners.count(corner) for corner in corners) == 3


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=4, unique=True))
def test_any_column_name_is_drawn_as_plain_text(names: list[str]) -> None:
    svg = charts.importance_chart(names, [0.1] * len(names), [0.01] * len(names), label=names[0])
    assert ElementTree.fromstring(svg).get("role") == "img"


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", r"$\frac{$", "소득", "a&b", '"; fill: red', "two\nlines"]
)
def test_hostile_and_foreign_names_are_text(name: str) -> None:
    svg = charts.importance_chart([name, "age"], [0.1, 0.05], [0.01, 0.01], label=name)
    assert "<script" not in svg
    assert name.replace("\n", " ") in _texts(svg)


def test_long_names_are_shortened_in_the_middle() -> None:
    svg = charts.importance_chart(["start" + "x" * 80 + "end"], [0.1], [0.01], label=LABEL)
    (name,) = [text for text in _texts(svg) if text.startswith("startxx")]
    assert "…" in name
    assert name.endswith("end")
    assert len(name) <= 34
