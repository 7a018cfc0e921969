"""A log of a training to series of numbers, also that of a run which is going on or was killed.

A line that was cut off is left out; of two records of one step, as a resumed run may write them, the later counts.
"""

import io
import json
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.reading import open_regular
from fgc.workspace import display_path

LOGS = "trainer_logs.json"
Axis: TypeAlias = Literal["step", "tokens", "time", "epoch"]
Point: TypeAlias = tuple[float, float]
_POSITION = {"step": "global_step", "tokens": "num_tokens", "epoch": "epoch"}
_HUGE = 1e300
_NO_METRICS = frozenset({"timestamp", "global_step", "epoch", "num_tokens"})


class Log(Struct, frozen=True):
    """One run's records, in the order in which they were written."""

    path: Path
    description: dict[str, Any]
    records: list[dict[str, Any]]
    num_broken: int

    @property
    def name(self) -> str:
        """Returns what the run is called."""
        return self.path.parent.name

    @property
    def metrics(self) -> list[str]:
        """Returns the names of all numbers in the order in which they appear first."""
        names = (name for record in self.records for name, value in record.items() if is_number(value))
        return [name for name in dict.fromkeys(names) if name not in _NO_METRICS]

    def series(self, metric: str, axis: Axis = "step") -> list[Point]:
        """Returns points of a metric, by where on the axis they were logged. Raises CannotRun without such positions.

        Time is in seconds from the beginning of the log.
        """
        found: dict[object, Point] = {}
        begin = self.begin
        for record in self.records:
            value = record.get(metric)
            if not is_number(value):
                continue
            at = record.get("timestamp") if axis == "time" else record.get(_POSITION[axis])
            if not is_number(at):
                raise CannotRun(f"`{display_path(self.path)}` does not record {axis}")
            step = record.get("global_step", len(found))
            found.pop(step, None)
            found[step] = (float(at) - (begin or 0.0) if axis == "time" else float(at), float(value))
        return list(found.values())

    def best(self, metric: str, *, is_maximized: bool) -> Point | None:
        """Returns step and value of a metric's best record, the first of equals; None without any."""
        sign = 1 if is_maximized else -1
        return max(self.series(metric), key=lambda point: sign * point[1], default=None)

    @property
    def begin(self) -> float | None:
        """Returns when the log begins, in Unix seconds."""
        written = self.description.get("time")
        try:
            return datetime.fromisoformat(str(written)).timestamp()
        except ValueError:
            times = [record["timestamp"] for record in self.records if is_number(record.get("timestamp"))]
            return min(times, default=None)

    @property
    def num_not_finite(self) -> int:
        """Returns how many numbers of the log were none."""
        return sum(
            value is None for record in self.records for name, value in record.items() if name not in _NO_METRICS
        )


def read_log(path: Path) -> Log:
    """Reads a log. Raises CannotRun for a file that is none."""
    description: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    num_broken = 0
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8", errors="replace") as file:
            for line in file:
                record = _record(line)
                if record is None:
                    num_broken += bool(line.strip())
                elif record.get("event") == "train_begin":
                    description = description or record
                elif is_number(record.get("global_step")):
                    records.append(record)
    except OSError as problem:
        raise CannotRun(f"`{path}` cannot be read: {problem.strerror}") from None
    if num_broken and not records and not description:
        raise CannotRun(f"`{path}` is not a log of a training")
    return Log(path, description, records, num_broken)


def smoothed(points: Iterable[Point], window: int) -> Iterator[Point]:
    """Yields means over so many points up to each one."""
    recent: deque[float] = deque(maxlen=window)
    for at, value in points:
        recent.append(value)
        yield at, sum(recent) / len(recent)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def is_number(value: object) -> TypeGuard[int | float]:
    """Returns True for a number that can be compared, summed and shown: no NaN, nothing without end."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_HUGE < value < _HUGE
