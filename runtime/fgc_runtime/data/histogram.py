"""Lengths to a PNG picture; needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

_SIZE_INCHES, _DPI = (8, 4.5), 120


def write_histogram(lengths: Sequence[int], path: Path, *, title: str, unit: str) -> None:
    """Draw how many examples have which length. Raises ModuleNotFoundError where matplotlib is not installed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # 0.4 s, and an optional dependency
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.hist(lengths, bins=min(60, max(1, len(set(lengths)))), color="#4878a8")
    mean = sum(lengths) / max(1, len(lengths))
    axes.axvline(mean, color="#c44e52", linestyle="--", label=f"mean {mean:,.0f}")
    axes.set(title=title, xlabel=f"{unit} per example", ylabel="examples")
    axes.legend()
    figure.savefig(path)
