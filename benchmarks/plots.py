"""The plots of `docs/performance/`, drawn of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.measure import Result

REACHED, MISSED, NO_AIM = "#1f6f5c", "#b4442c", "#8a8f98"

mpl.use("svg")
# The same bytes for the same results: no date, and names of parts that do not change.
mpl.rcParams.update({"svg.hashsalt": "preau", "font.size": 9, "axes.spines.right": False,
                     "axes.spines.top": False, "svg.fonttype": "none"})  # fmt: skip


def draw(results: Sequence[Result], folder: Path) -> None:
    """Write the plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    ratios(results, folder / "ratios.svg")


def ratios(results: Sequence[Result], path: Path) -> None:
    """Every ratio beside its aim, with the rounds' spread."""
    shown = [one for one in results if one.ratio is not None and (one.aim is None or
             one.aim.of == "ratio")]  # fmt: skip
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.3 * len(shown)), layout="constrained")
    for row, one in enumerate(reversed(shown)):
        ratio = one.ratio or 0.0
        colour = {True: REACHED, False: MISSED, None: NO_AIM}[one.reached]
        axes.barh(row, ratio - 1, left=1, height=0.62, color=colour)
        if one.spread:
            axes.hlines(row, *one.spread, color="#222", linewidth=1)
        if one.aim:
            axes.vlines(one.aim.value, row - 0.42, row + 0.42, color="#111", linewidth=2)
    # From a hundredth to a hundred times the baseline, and as far to both sides.
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1, color="#222", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [_label(one) for one in reversed(shown)])
    axes.set_xlabel("Préau / bare baseline (thick mark: the aim; thin line: all rounds)")
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    plt.close(figure)


def _label(one: Result) -> str:
    if one.aim is None:
        return one.name
    return f"{one.name}  ({'≥' if one.aim.kind == 'at least' else '≤'} {one.aim.value:g})"
