"""Charts over hours, in the looks of `charts`: lines against time, with levels that warn."""

from collections.abc import Mapping, Sequence
from datetime import UTC

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter

from loan_default.evaluation.charts import AMBER, HALF, ORANGE, SERIES, Line, draw


def hours_chart(
    name: str,
    lines: Sequence[Line],
    *,
    label: str,
    y_label: str,
    limits: Mapping[str, float] | None = None,
) -> str:
    """Values per hour; hours without a value are gaps.

    Args:
        lines: at least one hour, `x` in days since 1970, UTC.
        limits: name -> level, the lower one first.
    """

    def paint(axes: Axes) -> None:
        for number, line in enumerate(lines):
            x, y = np.asarray(line.x, float), np.asarray(line.y, float)
            if np.isnan(y).all():
                continue
            colour = SERIES[number % len(SERIES)]
            axes.plot(x, y, color=colour, label=line.name, marker="o", markersize=3.5)
        styles = ((AMBER, (0, (1.5, 2.5))), (ORANGE, (0, (5, 3))))
        for (colour, dashes), (text, level) in zip(styles, (limits or {}).items(), strict=False):
            axes.axhline(level, color=colour, linewidth=1.6, linestyle=dashes, label=text)
        axes.set(ylabel=y_label)
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0), high + 0.25 * (high - min(low, 0)))  # room for the legend
        locator = AutoDateLocator(minticks=2, maxticks=7, tz=UTC)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
        hours = [time for line in lines for time in line.x]
        margin = 0.02 * (max(hours) - min(hours)) or 0.01
        axes.set_xlim(min(hours) - margin, max(hours) + margin)  # alike in all charts of a page
        axes.grid(visible=False, axis="x")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", ncols=2)

    return draw(name, paint, label=label, size=HALF)
