"""Charts of the training report: plain arrays in, inline SVG text out.

Each function returns one `<svg role="img" aria-label="…">` element that scales to its container. Its colours
are CSS variables with a fallback (`var(--chart-ink, #1f2733)`), so that a page can switch them for a dark
scheme or for print; its text takes the font of the page. The same input gives the same text, byte for byte.
"""

import html
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.rcsetup import cycler
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

HALF = (6.0, 4.0)
"""Width and height in inches (72 units each) of a chart that takes half of the page."""
SQUARE = (6.0, 4.5)
"""The same for a chart whose sides have one scale."""
WIDE = (12.4, 3.7)
"""The same for a chart that takes the whole width."""

INK, MUTED, GRID, SURFACE = "#1f2733", "#5d6878", "#e3e7ed", "#fffffe"
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY = "#0b62a8", "#d55e00", "#00795a", "#a3508f", "#b07a00", "#3f9fd8"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY)
"""Distinguishable with the common kinds of colour blindness (after Okabe and Ito)."""

_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    SURFACE: "surface",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)},
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.id": None,
    "text.parse_math": False,  # a column may be called $x$
    "path.simplify": True,
    "path.simplify_threshold": 0.25,
    "font.family": "DejaVu Sans",  # comes with matplotlib and is wide: other fonts fit where it fits
    "font.size": 11.5,
    "text.color": INK,
    "axes.prop_cycle": cycler(color=SERIES),
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "ytick.major.pad": 6,
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "legend.handlelength": 1.6,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a chart, `(N,)` against `(N,)`."""

    name: str
    x: Sequence[float] | NDArray[np.float64]
    y: Sequence[float] | NDArray[np.float64]
    mark: float | None = None
    """The x of the point to mark, e.g. the best epoch; None = no mark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """Rows in groups of similar PD: what was predicted and what came, each `(G,)` between 0 and 1."""

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def epochs_chart(
    name: str, lines: Sequence[Line], *, label: str, y_label: str, size: tuple[float, float] = HALF
) -> str:
    """Values per epoch, one line for each component or member; the legend names marked points."""

    def paint(axes: Axes) -> None:
        many = len(lines) > len(SERIES)
        for number, line in enumerate(lines):
            colour = BLUE if many else SERIES[number % len(SERIES)]
            x, y = np.asarray(line.x, float), np.asarray(line.y, float)
            text = line.name if line.mark is None else f"{line.name} (best: epoch {line.mark:g})"
            short = "o" if len(x) < 3 else None  # a line needs two points to be seen
            axes.plot(
                x, y, color=colour, alpha=0.55 if many else 1.0, label=_text(text), marker=short, markersize=4
            )
            if line.mark is not None and line.mark in x:
                at = y[list(x).index(line.mark)]
                axes.plot([line.mark], [at], "o", color=colour, markersize=7, markeredgecolor=SURFACE)
        axes.set(xlabel="epoch", ylabel=y_label)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        axes.margins(x=0.02)
        axes.grid(visible=False, axis="x")
        if not many:
            axes.legend(loc="best")

    return draw(name, paint, label=label, size=size)


def roc_chart(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, label: str) -> str:
    """ROC curves: name -> (false positive rate, true positive rate); the first one is ours."""

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)), label="no skill")
        for number, (curve, (wrong, right)) in reversed(list(enumerate(curves.items()))):
            style = {"color": BLUE} if number == 0 else {"color": ORANGE, "linewidth": 1.6}
            axes.plot(np.asarray(wrong), np.asarray(right), label=_text(curve), **style)
        axes.set(
            xlabel="non-defaulters flagged", ylabel="defaulters found", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
        )
        _percent(axes.xaxis, axes.yaxis)
        handles, texts = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], texts[::-1], loc="lower right")

    return draw("roc", paint, label=label, size=SQUARE)


def ks_chart(
    cut: NDArray[np.float64], bads: NDArray[np.float64], goods: NDArray[np.float64], *, at: float, label: str
) -> str:
    """Share of each class with a PD up to each cut, and where the two are furthest apart."""

    def paint(axes: Axes) -> None:
        index = int(np.argmin(np.abs(cut - at)))
        low, high = sorted((float(bads[index]), float(goods[index])))
        axes.plot(cut, goods, color=BLUE, label="non-defaulters")
        axes.plot(cut, bads, color=ORANGE, label="defaulters")
        text = f"KS {high - low:.3f} at PD {at:.1%}"
        axes.plot([at, at], [low, high], color=INK, linewidth=1.4, marker="_", markersize=9, label=text)
        axes.set(
            xlabel="PD up to", ylabel="share of the class", xlim=(0, _right(cut, bads)), ylim=(-0.01, 1.01)
        )
        _percent(axes.xaxis, axes.yaxis)
        axes.legend(loc="lower right")

    return draw("ks", paint, label=label, size=SQUARE)


def score_chart(
    edges: NDArray[np.float64], bads: NDArray[np.float64], goods: NDArray[np.float64], *, label: str
) -> str:
    """Share of each class per bin of PD: `edges` `(B + 1,)`, the shares `(B,)`."""

    def paint(axes: Axes) -> None:
        for values, colour, text in ((goods, BLUE, "non-defaulters"), (bads, ORANGE, "defaulters")):
            axes.stairs(values, edges, fill=True, color=colour, alpha=0.22, linewidth=0)
            axes.stairs(values, edges, color=colour, linewidth=1.6, label=text)
        axes.set(
            xlabel="PD", ylabel="share of the class", ylim=(0, None), xlim=(min(0.0, edges[0]), edges[-1])
        )
        axes.grid(visible=False, axis="x")
        _percent(axes.xaxis, axes.yaxis)
        axes.legend(loc="upper right")

    return draw("scores", paint, label=label, size=HALF)


def deciles_chart(groups: Groups, *, label: str) -> str:
    """Mean PD as bars beside the observed default rate as points, from the riskiest group to the safest."""

    def paint(axes: Axes) -> None:
        group = np.arange(1, len(groups.predicted) + 1)
        axes.bar(group, groups.predicted, width=0.62, color=BLUE, alpha=0.4, label="mean PD")
        _interval_points(axes, group, groups, colour=ORANGE, text="observed default rate")
        axes.set(xlabel="group, riskiest first", ylabel="default rate", ylim=(0, None))
        axes.xaxis.set_major_locator(FixedLocator(list(group)))
        axes.grid(visible=False, axis="x")
        _percent(axes.yaxis)
        axes.legend(loc="upper right")

    return draw("deciles", paint, label=label, size=HALF)


def reliability_chart(groups: Groups, *, before: Groups | None, label: str) -> str:
    """Observed default rate against mean PD; on the diagonal a PD means what it says."""

    def paint(axes: Axes) -> None:
        drawn = [groups] if before is None else [groups, before]
        top = max(float(max(each.predicted.max(), each.high.max())) for each in drawn) * 1.04
        axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (2, 3)), label="perfect")
        if before is not None:
            axes.plot(
                before.predicted,
                before.observed,
                color=ORANGE,
                linewidth=1.2,
                marker="o",
                markersize=5,
                markerfacecolor=SURFACE,
                label="before calibration",
            )
        axes.plot(groups.predicted, groups.observed, color=BLUE, linewidth=1.2, alpha=0.6)
        _interval_points(axes, groups.predicted, groups, colour=BLUE, text="after calibration")
        axes.set(xlabel="mean PD", ylabel="observed default rate", xlim=(0, top), ylim=(0, top))
        _percent(axes.xaxis, axes.yaxis)
        axes.legend(loc="upper left")

    return draw("reliability", paint, label=label, size=SQUARE)


def importance_chart(
    names: Sequence[str], means: Sequence[float], sds: Sequence[float], *, label: str
) -> str:
    """Horizontal bars with one standard deviation to either side, in the given order from the top."""

    def paint(axes: Axes) -> None:
        position = np.arange(len(names))
        axes.barh(position, means, height=0.62, color=BLUE, alpha=0.75)
        axes.errorbar(means, position, xerr=sds, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(position, [_text(name, limit=34) for name in names], color=INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlabel("loss of AUC when the column is shuffled")
        axes.grid(visible=False, axis="y")
        axes.spines["bottom"].set_visible(False)

    return draw("importance", paint, label=label, size=(WIDE[0], 0.8 + 0.33 * max(len(names), 2)))


def approval_chart(
    approved: Sequence[float], bad_rates: Sequence[float], *, at: tuple[float, float], label: str
) -> str:
    """Default rate of the approved loans by approval rate, with the chosen cut-off as a dot."""

    def paint(axes: Axes) -> None:
        axes.plot(approved, bad_rates, color=BLUE, marker="o", markersize=3.5, label="approved loans")
        axes.plot(*([each] for each in at), "o", color=ORANGE, markersize=9, label="chosen cut-off")
        axes.set(xlabel="approval rate", ylabel="default rate of approved loans", ylim=(0, None))
        _percent(axes.xaxis, axes.yaxis)
        axes.legend(loc="upper left")

    return draw("approvals", paint, label=label, size=WIDE)


def draw(name: str, paint: Callable[[Axes], None], *, label: str, size: tuple[float, float]) -> str:
    """Draw a chart of our looks: `paint` gets its axes, `label` describes it to those who cannot see it."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # a matplotlibrc of the machine must not change a report
        mpl.rcParams.update({**_SETTINGS, "svg.hashsalt": name})
        # Names in scripts that DejaVu lacks are only measured here; the browser has fonts of its own.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
        paint(figure.subplots())
        text = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return _inline(text.getvalue(), name, label)


def _inline(svg: str, name: str, label: str) -> str:
    """The element alone: ids unique in the page, colours as variables, no fonts and no rules of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = re.sub(r'id="([^"]*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    svg = re.sub(r"(?<=\d)\s*\n(?=[LQCz])", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = re.sub(rf"(fill|stroke): {colour}", rf"\1: var(--chart-{variable}, {colour})", svg)
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    description = html.escape(_text(label, limit=600))
    opening = f'<svg class="chart" role="img" aria-label="{description}" viewBox="{box[1]}"'
    opening += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1).strip()


def _interval_points(
    axes: Axes, x: NDArray[np.float64] | NDArray[np.int64], groups: Groups, *, colour: str, text: str
) -> None:
    reach = np.maximum([groups.observed - groups.low, groups.high - groups.observed], 0)
    axes.errorbar(
        x,
        groups.observed,
        yerr=reach,
        fmt="o",
        color=colour,
        markersize=6.5,
        markeredgecolor=SURFACE,
        elinewidth=1.4,
        capsize=3,
        label=text,
    )


def _percent(*sides: object) -> None:
    for side in sides:
        side.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))  # type: ignore[attr-defined]


def _right(cut: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """The PD above which next to no row lies, so that the curve fills its chart."""
    return float(np.clip(cut[min(int(np.searchsorted(share, 0.998)), len(cut) - 1)] * 1.02, 1e-3, 1.0))


def _text(name: str, *, limit: int = 40) -> str:
    """A name on one line, without control characters, shortened in the middle."""
    name = "".join(character if character.isprintable() else " " for character in name)
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[-(limit // 2 - 1) :]}"
