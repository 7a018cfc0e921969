"""Runs on disk: what their records say, whether they still run, and whether their program is the one that ran."""

import hashlib
import os
import shlex
import socket
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.cli.logs.records import LOGS, Log, read_log
from fgc.patterns import regex
from fgc.reading import read_bytes, read_json

_RECORD = "run.json"
_MODEL_OF = "trained_by.json"
_EVALUATIONS = "evaluations"
_VARIABLE = regex(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES = {
    **dict.fromkeys(("state", "configuration", "started_at", "ended_at", "metric", "program", "folder"), str),
    **dict.fromkeys(("reason", "resumed_from", "output_dir"), str),
    **dict.fromkeys(("step", "max_steps", "world_size"), int),
    **dict.fromkeys(("process", "environment", "versions", "files", "trial", "fingerprint"), dict),
    "words": list,
}
_OF_A_PROGRAM = ("files", "folder", "words", "world_size", "environment")
_OF_AN_EVALUATION = ("evaluated_at", "step", "tasks", "perplexity")


class Run(Struct, frozen=True, dict=True):
    """One folder below `runs/`."""

    folder: Path
    record: dict[str, Any]

    @property
    def state(self) -> str:
        """`running`, `finished`, `stopped` before its last step, `failed`; `killed` if its process is simply gone."""
        state, step, max_steps = (self.record.get(name) for name in ("state", "step", "max_steps"))
        if state == "finished" and isinstance(step, int) and isinstance(max_steps, int) and step < max_steps:
            return "stopped"  # records of older versions call it finished
        state = str(state)
        return "killed" if state == "running" and not is_alive(self.record.get("process") or {}) else state

    @property
    def steps(self) -> str:
        """`58/20000`: what is done of what was to do; empty without a log."""
        step, max_steps = self.last.get("global_step", self.record.get("step")), self.record.get("max_steps")
        if step is None:
            return ""
        return f"{step}/{max_steps}" if isinstance(max_steps, int) else str(step)

    @property
    def options(self) -> str:
        """Returns the words with which the program was started, and the arguments that its environment changed."""
        words = self.record.get("words")
        environment = self.record.get("environment") or {}
        changed = environment.get("FGC_TRAINING_ARGUMENTS") if isinstance(environment, dict) else None
        shown = [shlex.join(map(str, words))] if isinstance(words, list) and words else []
        return " ".join([*shown, *([str(changed)] if changed else [])])

    @cached_property
    def log(self) -> Log | None:
        """Returns all that it has logged so far; None without a log that can be read."""
        try:
            return read_log(self.folder / LOGS)
        except CannotRun:
            return None

    @cached_property
    def last(self) -> dict[str, Any]:
        """Step and loss of the newest log records; empty without a log."""
        found: dict[str, Any] = {}
        for record in self.log.records if self.log is not None else ():
            found |= {name: value for name, value in record.items() if name in ("global_step", "loss")}
        return found

    @property
    def best(self) -> tuple[str, float] | None:
        """The best evaluation by the run's metric, without one by `eval_loss`; None if there was none."""
        name, is_maximized = metric_of(self.record)
        point = None if self.log is None else self.log.best(name, is_maximized=is_maximized)
        return None if point is None else (name, point[1])

    def last_of(self, metric: str) -> float | None:
        """The newest value of a metric."""
        points = [] if self.log is None else self.log.series(metric)
        return points[-1][1] if points else None

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """Returns what `fgc eval` found of the run's model, the oldest first, each with the name of its file."""
        found = []
        for path in sorted((self.folder / _EVALUATIONS).glob("*.json")):
            record = _read(path)
            if record is not None:
                found.append({"file": str(path), **{name: record.get(name) for name in _OF_AN_EVALUATION}})
        return found

    @property
    def evaluated(self) -> dict[str, float]:
        """The newest value of each task's first metric, and of each text's perplexity."""
        found: dict[str, float] = {}
        for record in self.evaluations:
            found |= dict(_headlines(record))
        return found


def _headlines(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    tasks = record["tasks"]
    metrics = tasks.get("metrics") if isinstance(tasks, dict) else None
    for task, values in metrics.items() if isinstance(metrics, dict) else ():
        for name, value in values.items() if isinstance(values, dict) else ():
            metric = name.partition(",")[0]
            if isinstance(value, int | float) and not metric.endswith("_stderr"):
                yield f"{task} {metric}", value
                break
    perplexity = record["perplexity"]
    if isinstance(perplexity, dict) and isinstance(value := perplexity.get("perplexity"), int | float):
        yield f"perplexity of {Path(str(perplexity.get('file'))).name}", value


def metric_of(record: dict[str, Any]) -> tuple[str, bool]:
    """Returns what a run's best evaluation is chosen by, and True if more of it is better."""
    return str(record.get("metric") or "eval_loss"), bool(record.get("greater_is_better"))


def run_of_model(output: Path) -> str | None:
    """Returns the name of the run whose model lies in an output folder, None if it does not say."""
    run = (_read(output / _MODEL_OF) or {}).get("run")
    return Path(run).name if isinstance(run, str) else None


def runs_in(output: Path) -> list[Run]:
    """The runs of an output folder that left a record, the oldest first."""
    paths = sorted((output / "runs").glob(f"*/{_RECORD}"))
    folders = [path.parent for path in paths if not path.parent.name.startswith(".")]  # one that is being removed
    found = [Run(folder, record) for folder in folders if (record := _record_of(folder)) is not None]
    return sorted(found, key=lambda run: (str(run.record.get("started_at")), run.folder.name))


def read_run(folder: Path) -> Run | None:
    """A run by its folder; None without a record that can be read."""
    record = _record_of(folder)
    return None if record is None else Run(folder, record)


def load_run(folder: Path) -> Run:
    """A run to repeat. Raises CannotRun, saying what is missing or not as it was."""
    record = _record_of(folder)
    if record is None:
        raise CannotRun(f"`{folder}` is not a run: it has no readable {_RECORD}")
    if "program" not in record:
        raise CannotRun(f"`{folder}` contains no program: it was not started from a file")
    if lacking := [name for name in _OF_A_PROGRAM if name not in record]:
        raise CannotRun(f"`{folder}` cannot be repeated: `{lacking[0]}` in its {_RECORD} is not as fgc writes it")
    words, environment = record["words"], record["environment"]
    if not all(isinstance(word, str) for word in (*words, *environment.values(), *record["files"].values())):
        raise CannotRun(f"`{folder}` cannot be repeated: the arguments in its {_RECORD} are not a list of words")
    if unusual := [name for name in environment if not _VARIABLE.fullmatch(name)]:
        raise CannotRun(f"`{folder}` cannot be repeated: {unusual[0]!r} is not the name of a variable")
    for name, written in record["files"].items():
        path = folder / "program" / name
        if not path.is_file():
            raise CannotRun(f"the program in `{folder}` is not complete: {name} is missing")
        if "sha256:" + hashlib.sha256(read_bytes(path)).hexdigest() != written:
            raise CannotRun(f"the program in `{folder}` is not the one that ran: {name} has been edited")
    extra = {str(path.relative_to(folder / "program")) for path in (folder / "program").rglob("*.py")}
    if added := sorted(extra - set(record["files"])):
        raise CannotRun(f"the program in `{folder}` is not the one that ran: {added[0]} has been added")
    if not Path(record["folder"]).is_dir():
        raise CannotRun(
            f"the run was started in `{record['folder']}`, which no longer exists; name another: `--in FOLDER`"
        )
    resumed_from = record.get("resumed_from")
    if resumed_from is not None and not Path(resumed_from).is_dir():
        raise CannotRun(f"the run resumed from `{resumed_from}`, which no longer exists, so it cannot be repeated")
    return Run(folder, record)


def changed_versions(run: Run) -> list[str]:
    """Packages of other versions than when the run was started."""
    changed = []
    for package, before in (run.record.get("versions") or {}).items():
        now = _version(package)
        if now != before:
            changed.append(f"{package} was {before} and is {now or 'missing'}")
    return changed


def _version(package: str) -> str | None:
    if package == "python":
        import platform

        return platform.python_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _record_of(folder: Path) -> dict[str, Any] | None:
    """The record of a run, without fields of another type than fgc writes: somebody else can have written them."""
    record = _read(folder / _RECORD)
    if record is None:
        return None
    return {
        name: value for name, value in record.items() if value is None or isinstance(value, _TYPES.get(name, object))
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def is_alive(process: dict[str, Any]) -> bool:
    """Returns True if that very process runs; one on another machine is believed to."""
    pid = process.get("pid")
    if process.get("host") != socket.gethostname():
        return True
    if not isinstance(pid, int) or isinstance(pid, bool) or pid < 1:  # 0 and below name groups of processes
        return False
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists() and _answers(pid)
    except OSError:
        return True
    return status.rpartition(")")[2].split()[19] == process.get("started")


def _answers(pid: int) -> bool:
    """Returns True if there is a process of this number, on systems without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
