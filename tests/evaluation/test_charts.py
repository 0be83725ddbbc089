import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

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


@pytest.mark.slow
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


@pytest.mark.slow
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


# What is drawn, as matplotlib holds it ---------------------------------------------------------------------


@pytest.fixture
def axes_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Axes]:
    """Draws a chart and returns its axes."""
    figures: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            figures.append(self)

    monkeypatch.setattr(charts, "Figure", Kept)

    def drawn_by(draw: Callable[..., str], *arguments: Any, **named: Any) -> Axes:
        draw(*arguments, label=LABEL, **named)
        (axes,) = figures.pop().axes
        return axes

    return drawn_by


def _points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def _legend(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def _by_name(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.get_lines()}


def _ticks(axis: Axis) -> list[str]:
    return [axis.get_major_formatter()(value) for value in (0, 0.125, 1)]


@pytest.mark.slow
def test_epochs_are_drawn_as_they_were(axes_of: Callable[..., Axes]) -> None:
    lines = [
        charts.Line(name="a", x=[1, 2, 3], y=[3.0, 1.0, 2.0], mark=2),
        charts.Line(name="b", x=[1], y=[5]),
    ]
    axes = axes_of(charts.epochs_chart, "epochs", lines, y_label="loss")
    first, mark, second = axes.get_lines()
    assert _points(first) == [(1, 3), (2, 1), (3, 2)]
    assert _points(mark) == [(2, 1)]
    assert _points(second) == [(1, 5)]
    assert (first.get_marker(), mark.get_marker(), second.get_marker()) == ("None", "o", "o")
    assert first.get_color() == mark.get_color() != second.get_color()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")
    assert _legend(axes) == ["a (best: epoch 2)", "b"]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    two = charts.Line(name="c", x=[1, 2], y=[1, 2])
    three = charts.Line(name="d", x=[1, 2, 3], y=[1, 2, 3], mark=7)
    short, long = axes_of(charts.epochs_chart, "epochs", [two, three], y_label="loss").get_lines()
    assert (short.get_marker(), long.get_marker()) == ("o", "None"), "an epoch that is not there has no mark"


@pytest.mark.slow
def test_as_many_lines_as_there_are_colours_have_a_legend(axes_of: Callable[..., Axes]) -> None:
    def lines(count: int) -> list[charts.Line]:
        return [charts.Line(name=f"m{n}", x=[1, 2, 3], y=[n, n, n]) for n in range(count)]

    axes = axes_of(charts.epochs_chart, "epochs", lines(6), y_label="AUC")
    assert len(_legend(axes)) == len({line.get_color() for line in axes.get_lines()}) == 6
    axes = axes_of(charts.epochs_chart, "epochs", lines(7), y_label="AUC")
    assert _legend(axes) == []
    assert {line.get_color() for line in axes.get_lines()} == {charts.BLUE}


@pytest.mark.slow
def test_roc_curves_and_their_names(axes_of: Callable[..., Axes]) -> None:
    curves = {"ours": ([0, 0.25, 1], [0, 0.5, 1]), "theirs": ([0, 0.5, 1], [0, 0.75, 1])}
    axes = axes_of(charts.roc_chart, curves)
    lines = _by_name(axes)
    assert _points(lines["no skill"]) == [(0, 0), (1, 1)]
    for name, (wrong, right) in curves.items():
        assert _points(lines[name]) == list(zip(wrong, right, strict=True))
    assert (lines["ours"].get_color(), lines["theirs"].get_color()) == (charts.BLUE, charts.ORANGE)
    assert axes.get_lines()[-1] is lines["ours"], "ours lies on top"
    assert _legend(axes) == ["ours", "theirs", "no skill"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("non-defaulters flagged", "defaulters found")
    assert axes.get_xlim() == axes.get_ylim() == (-0.01, 1.01)
    assert _ticks(axes.xaxis) == _ticks(axes.yaxis) == ["0%", "12.5%", "100%"]


@pytest.mark.slow
def test_ks_is_drawn_where_it_is(axes_of: Callable[..., Axes]) -> None:
    cut = np.array([0.1, 0.2, 0.3, 0.4])
    bads, goods = np.array([0.1, 0.3, 0.9, 1.0]), np.array([0.5, 0.8, 0.99, 1.0])
    axes = axes_of(charts.ks_chart, cut, bads, goods, at=0.21)
    lines = _by_name(axes)
    assert _points(lines["defaulters"]) == list(zip(cut, bads, strict=True))
    assert _points(lines["non-defaulters"]) == list(zip(cut, goods, strict=True))
    assert _points(lines["KS 0.500 at PD 21.0%"]) == [(0.21, 0.3), (0.21, 0.8)]
    assert axes.get_xlim() == (0, pytest.approx(0.4 * 1.02))
    assert axes.get_ylim() == (-0.01, 1.01)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("PD up to", "share of the class")
    assert _ticks(axes.xaxis) == _ticks(axes.yaxis) == ["0%", "12.5%", "100%"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cut", "share", "right"),
    [
        ([0.1, 0.2, 0.3], [0.5, 0.998, 1.0], 0.2 * 1.02),
        ([0.1, 0.2, 0.3], [0.5, 0.997, 0.997], 0.3 * 1.02),
        ([0.1, 0.2, 0.99], [0.1, 0.2, 1.0], 1.0),
        ([0.0, 0.0001, 0.0002], [1.0, 1.0, 1.0], 1e-3),
    ],
)
def test_a_curve_fills_its_chart(axes_of, cut, share, right) -> None:
    axes = axes_of(charts.ks_chart, np.array(cut), np.array(share), np.array(share), at=cut[0])
    assert axes.get_xlim()[1] == pytest.approx(right)


@pytest.mark.slow
def test_distributions_of_both_classes(axes_of: Callable[..., Axes]) -> None:
    edges, bads, goods = np.array([0.1, 0.2, 0.4]), np.array([0.25, 0.75]), np.array([0.9, 0.1])
    axes = axes_of(charts.score_chart, edges, bads, goods)
    steps = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    named = {str(patch.get_label()): patch for patch in steps if not patch.get_fill()}
    for name, values in (("defaulters", bads), ("non-defaulters", goods)):
        assert named[name].get_data().values.tolist() == values.tolist()
        assert named[name].get_data().edges.tolist() == edges.tolist()
    filled = [patch.get_data().values.tolist() for patch in steps if patch.get_fill()]
    assert sorted(filled) == sorted([bads.tolist(), goods.tolist()])
    assert _legend(axes) == ["non-defaulters", "defaulters"]
    assert axes.get_xlim() == (0, 0.4)
    assert axes.get_ylim()[0] == 0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("PD", "share of the class")
    assert _ticks(axes.xaxis) == _ticks(axes.yaxis) == ["0%", "12.5%", "100%"]


def _reach(axes: Axes) -> list[list[tuple[float, float]]]:
    """From where to where each interval runs, in the order of the points."""
    (bars,) = [each for container in axes.containers for each in _bars(container)]
    return [[(float(x), float(y)) for x, y in segment] for segment in bars.get_segments()]


def _bars(container: Any) -> list[Any]:
    return list(container.lines[2]) if isinstance(container, ErrorbarContainer) else []


@pytest.mark.slow
def test_groups_are_bars_beside_points_with_their_intervals(axes_of: Callable[..., Axes]) -> None:
    predicted = np.array([0.5, 0.2])
    groups = charts.Groups(
        predicted=predicted, observed=predicted + 0.1, low=predicted, high=predicted + 0.15
    )
    axes = axes_of(charts.deciles_chart, groups)
    (bars,) = [each for each in axes.containers if isinstance(each, BarContainer)]
    assert [bar.get_height() for bar in bars] == predicted.tolist()
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([1, 2])
    points = next(line for line in axes.get_lines() if line.get_marker() == "o")
    assert _points(points) == [(1, 0.6), (2, pytest.approx(0.3))]
    assert np.array(_reach(axes)) == pytest.approx(np.array([[(1, 0.5), (1, 0.65)], [(2, 0.2), (2, 0.35)]]))
    assert sorted(_legend(axes)) == ["mean PD", "observed default rate"]
    assert axes.get_xticks().tolist() == [1, 2]
    assert axes.get_ylim()[0] == 0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("group, riskiest first", "default rate")
    assert _ticks(axes.yaxis) == ["0%", "12.5%", "100%"]


def test_an_interval_that_does_not_hold_its_point_reaches_only_outwards(axes_of) -> None:
    point = np.array([0.5])
    groups = charts.Groups(predicted=point, observed=point, low=point + 0.1, high=point + 0.2)
    assert np.array(_reach(axes_of(charts.deciles_chart, groups))) == pytest.approx(
        np.array([[(1, 0.5), (1, 0.7)]])
    )


@pytest.mark.slow
def test_reliability_lies_beside_the_diagonal(axes_of: Callable[..., Axes]) -> None:
    after = charts.Groups(
        predicted=np.array([0.4, 0.2]),
        observed=np.array([0.35, 0.1]),
        low=np.array([0.3, 0.05]),
        high=np.array([0.45, 0.2]),
    )
    before = replace(after, predicted=np.array([0.5, 0.1]), high=np.array([0.4, 0.2]))
    axes = axes_of(charts.reliability_chart, after, before=before)
    lines = _by_name(axes)
    assert _points(lines["before calibration"]) == [(0.5, 0.35), (0.1, 0.1)]
    assert _points(lines["perfect"]) == [(0, 0), (pytest.approx(0.52), pytest.approx(0.52))]
    assert [(0.4, 0.35), (0.2, 0.1)] in [_points(line) for line in axes.get_lines()]
    assert axes.get_xlim() == axes.get_ylim() == (0, pytest.approx(0.52))
    assert sorted(_legend(axes)) == ["after calibration", "before calibration", "perfect"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("mean PD", "observed default rate")
    assert _ticks(axes.xaxis) == _ticks(axes.yaxis) == ["0%", "12.5%", "100%"]
    alone = axes_of(charts.reliability_chart, after, before=None)
    assert alone.get_xlim() == (0, pytest.approx(0.45 * 1.04))
    assert "before calibration" not in _legend(alone)


def test_features_are_listed_from_the_top_with_one_deviation_to_either_side(axes_of) -> None:
    axes = axes_of(charts.importance_chart, ["income", "age"], [0.2, -0.1], [0.05, 0.02])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["income", "age"]
    assert [bar.get_width() for bar in axes.patches] == [0.2, -0.1]
    assert [bar.get_y() + bar.get_height() / 2 for bar in axes.patches] == pytest.approx([0, 1])
    assert axes.get_ylim() == (1.6, -0.6)
    assert np.array(_reach(axes)) == pytest.approx(
        np.array([[(0.15, 0), (0.25, 0)], [(-0.12, 1), (-0.08, 1)]])
    )
    assert [(0.0, 0.0), (0.0, 1.0)] in [_points(line) for line in axes.get_lines()]
    assert axes.get_xlabel() == "loss of AUC when the column is shuffled"


@pytest.mark.slow
def test_a_list_of_features_is_as_high_as_it_is_long(axes_of) -> None:
    def height(count: int) -> float:
        names = [f"column {number}" for number in range(count)]
        axes = axes_of(charts.importance_chart, names, [0.1] * count, [0.01] * count)
        return float(axes.figure.get_size_inches()[1])

    assert height(1) == height(2) < height(3)
    assert height(20) - height(10) == pytest.approx(10 * (height(3) - height(2)))


@pytest.mark.slow
@pytest.mark.parametrize(("length", "shown"), [(34, "x" * 34), (35, "x" * 17 + "…" + "x" * 16)])
def test_a_name_is_shortened_where_it_is_too_long(axes_of, length, shown) -> None:
    axes = axes_of(charts.importance_chart, ["x" * length], [0.1], [0.01])
    assert axes.get_yticklabels()[0].get_text() == shown


@pytest.mark.slow
def test_settings_of_the_machine_change_no_chart(drawn: dict[str, str]) -> None:
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "font.size": 30}):
        before = dict(mpl.rcParams)
        assert _all_charts() == drawn
        assert dict(mpl.rcParams) == before
