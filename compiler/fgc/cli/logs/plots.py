"""Series of several runs to a picture by matplotlib, or to a small one in the terminal."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.cli.logs.records import Axis, Log, Point, smoothed
from fgc.diagnostics import did_you_mean

_LABELS = {"step": "step", "tokens": "tokens", "time": "seconds", "epoch": "epoch"}
_FORMATS = (".png", ".svg", ".pdf")
_BRAILLE, _DOTS = 0x2800, ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_COLOURS = (32, 34, 33, 35, 36, 31)
_MARKS = "*+o#x@"


class Curve(Struct, frozen=True):
    """One series of one run."""

    label: str
    points: list[Point]


class View(Struct, frozen=True):
    """Settings for drawing curves."""

    axis: Axis = "step"
    window: int = 1
    has_log_x: bool = False
    has_log_y: bool = False
    title: str | None = None


def panels(logs: Sequence[Log], metrics: Sequence[str], view: View) -> dict[str, list[Curve]]:
    """Returns curves by panels: a metric and its `eval_` twin share one. Raises CannotRun for one without values."""
    found: dict[str, list[Curve]] = {}
    for metric in metrics:
        group = metric.removeprefix("eval_")
        curves = []
        for log in logs:
            points = [*smoothed(log.series(metric, view.axis), view.window)]
            points = [point for point in points if _fits(point, view)]
            if points:
                label = metric if len(logs) == 1 else f"{log.name} {metric}" if len(metrics) > 1 else log.name
                curves.append(Curve(label, points))
        if not curves:
            raise CannotRun(_no_values(metric, logs, view))
        found.setdefault(group, []).extend(curves)
    return found


def _fits(point: Point, view: View) -> bool:
    """Returns False for what has no place: no finite number, and nothing below 0 on a logarithmic axis."""
    at, value = point
    is_finite = math.isfinite(at) and math.isfinite(value)
    return is_finite and (at > 0 or not view.has_log_x) and (value > 0 or not view.has_log_y)


def _no_values(metric: str, logs: Sequence[Log], view: View) -> str:
    known = list(dict.fromkeys(name for log in logs for name in log.metrics))
    if metric in known:
        axis = "logarithmic axis" if view.has_log_x or view.has_log_y else "axis"
        return f"`{metric}` has no value that fits on a {axis}"
    help = did_you_mean(metric, known) or (f"the logs have {', '.join(known)}" if known else "the logs have no numbers")
    return f"no log has `{metric}`; {help}"


def draw(found: Mapping[str, Sequence[Curve]], view: View, path: Path) -> None:
    """Writes a picture. Raises CannotRun without matplotlib, and for an unknown ending."""
    from importlib.util import find_spec

    if path.suffix.lower() not in _FORMATS:
        raise CannotRun(f"`{path}` must end with one of {', '.join(_FORMATS)}")
    if find_spec("matplotlib") is None:
        raise CannotRun("pictures need matplotlib: pip install 'fgc[plot]'; without -o, the plot is on the terminal")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # 0.4 s, and an optional dependency
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2 * len(found) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(found), 1, squeeze=False, sharex=True)[:, 0]
    for panel, (name, curves) in zip(axes, found.items(), strict=True):
        for curve in curves:
            xs, ys = zip(*curve.points, strict=True)
            panel.plot(xs, ys, label=curve.label, linewidth=1.4, marker="." if len(xs) < 30 else None)
        panel.set_ylabel(name, parse_math=False)  # `$` in a name is a letter
        panel.grid(alpha=0.3)
        panel.set_xscale("log" if view.has_log_x else "linear")
        panel.set_yscale("log" if view.has_log_y else "linear")
        if len(curves) > 1 or curves[0].label != name:
            for text in panel.legend(fontsize="small").get_texts():
                text.set_parse_math(False)
    axes[-1].set_xlabel(_LABELS[view.axis])
    if view.title:
        figure.suptitle(view.title, parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def terminal_text(found: Mapping[str, Sequence[Curve]], view: View, *, width: int, height: int, has_color: bool) -> str:
    """Returns the panels in characters, each `height` lines high."""
    parts = [view.title] if view.title else []
    for name, curves in found.items():
        parts.append(_panel(name, curves, view, width, height, has_color))
    return "\n".join(parts)


def _panel(name: str, curves: Sequence[Curve], view: View, width: int, height: int, has_color: bool) -> str:
    points = [point for curve in curves for point in curve.points]
    low_x, high_x = _ends((_scaled(at, view.has_log_x) for at, _ in points))
    low_y, high_y = _ends((_scaled(value, view.has_log_y) for _, value in points))
    labels = [_number(_unscaled(low_y + (high_y - low_y) * share, view.has_log_y)) for share in (1.0, 0.5, 0.0)]
    margin = max(map(len, labels)) + 1
    columns = max(16, width - margin - 1)
    is_one = len(curves) == 1
    canvas = _Canvas(columns, height, is_braille=_has_braille() and (has_color or is_one))
    for number, curve in enumerate(curves):
        places = [
            (
                (_scaled(at, view.has_log_x) - low_x) / (high_x - low_x),
                (_scaled(value, view.has_log_y) - low_y) / (high_y - low_y),
            )
            for at, value in curve.points
        ]
        canvas.line(places, number)
    rows = canvas.rows(has_color=has_color)
    texts = {0: labels[0], height // 2: labels[1], height - 1: labels[2]}
    lines = [f"{texts.get(row, ''):>{margin}}|{text}" for row, text in enumerate(rows)]
    left, right = (_number(_unscaled(end, view.has_log_x)) for end in (low_x, high_x))
    foot = f"{left}{_LABELS[view.axis]:^{max(0, columns - len(left) - len(right))}}{right}"
    legend = "  ".join(_legend(curve.label, number, has_color) for number, curve in enumerate(curves) if not is_one)
    legend = curves[0].label if is_one and curves[0].label != name else legend
    return "\n".join([f"{name}" + (f"   {legend}" if legend else ""), *lines, " " * (margin + 1) + foot])


class _Canvas:
    """Dots in a grid of characters: eight to a character in braille, else one."""

    def __init__(self, columns: int, rows: int, *, is_braille: bool) -> None:
        self._cells: dict[tuple[int, int], tuple[int, int]] = {}  # what is in a character, and whose colour it has
        self._columns, self._rows = columns, rows
        self._fine_x, self._fine_y = (2, 4) if is_braille else (1, 1)
        self._is_braille = is_braille

    def line(self, places: Sequence[tuple[float, float]], number: int) -> None:
        """Draws lines between places, whose coordinates lie between 0 and 1."""
        wide, high = self._columns * self._fine_x - 1, self._rows * self._fine_y - 1
        dots = [(x * wide, (1 - y) * high) for x, y in places]
        for (x0, y0), (x1, y1) in zip(dots[:1] + dots, dots, strict=False):
            steps = max(1, round(max(abs(x1 - x0), abs(y1 - y0))))
            for index in range(steps + 1):
                self._dot(round(x0 + (x1 - x0) * index / steps), round(y0 + (y1 - y0) * index / steps), number)

    def _dot(self, x: int, y: int, number: int) -> None:
        place = (y // self._fine_y, x // self._fine_x)
        mark = _DOTS[x % 2][y % 4] if self._is_braille else 1
        before = self._cells.get(place, (0, number))[0]
        self._cells[place] = (before | mark, number)

    def rows(self, *, has_color: bool) -> list[str]:
        """Returns the lines of the picture."""
        return [
            "".join(self._cell(row, column, has_color) for column in range(self._columns)) for row in range(self._rows)
        ]

    def _cell(self, row: int, column: int, has_color: bool) -> str:
        found = self._cells.get((row, column))
        if found is None:
            return " "
        sign = chr(_BRAILLE + found[0]) if self._is_braille else _MARKS[found[1] % len(_MARKS)]
        return _coloured(sign, found[1]) if has_color else sign


def _legend(label: str, number: int, has_color: bool) -> str:
    return _coloured(label, number) if has_color else f"{_MARKS[number % len(_MARKS)]} {label}"


def _coloured(text: str, number: int) -> str:
    return f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{text}\x1b[0m"


def _has_braille() -> bool:
    return "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()


def _scaled(value: float, is_log: bool) -> float:
    return math.log10(value) if is_log else value


def _unscaled(value: float, is_log: bool) -> float:
    return 10**value if is_log else value


def _ends(values: Iterable[float]) -> tuple[float, float]:
    """The lowest and the highest; apart, also where all are equal."""
    found = list(values)
    low, high = min(found), max(found)
    if low == high:
        half = abs(low) / 10 or 1.0
        return low - half, high + half
    return low, high


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
