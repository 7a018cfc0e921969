"""Runs on disk: what their records say, whether they still run, and whether their program is the one that ran."""

import hashlib
import json
import os
import shlex
import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.reading import read_bytes, read_json

_RECORD = "run.json"
_LOGS = "trainer_logs.json"
_MODEL_OF = "trained_by.json"
_TAIL_BYTES = 64 * 1024  # of a log: the last records are in there
_MOST_BYTES = 16 * 2**20  # of a log that is read whole


class Run(Struct, frozen=True):
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
        return "killed" if state == "running" and not _is_alive(self.record.get("process", {})) else state

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

    @property
    def last(self) -> dict[str, Any]:
        """Step and loss of the newest log records; empty without a log."""
        found: dict[str, Any] = {}
        for record in self._logged(_TAIL_BYTES):
            found |= {name: value for name, value in record.items() if name in ("global_step", "loss")}
        return found

    @property
    def best(self) -> tuple[str, float] | None:
        """The best evaluation by the run's metric, without one by `eval_loss`; None if there was none."""
        name = str(self.record.get("metric") or "eval_loss")
        sign = 1 if self.record.get("greater_is_better") else -1
        values = [value for record in self._logged(_MOST_BYTES) if isinstance(value := record.get(name), (int, float))]
        return (name, max(values, key=lambda value: sign * value)) if values else None

    def _logged(self, most_bytes: int) -> Iterator[dict[str, Any]]:
        """The records at the end of the log."""
        path = self.folder / _LOGS
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - most_bytes))
            for line in file:
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):  # the first line may be cut, as may the last of a killed run
                    continue
                if isinstance(record, dict):
                    yield record


def run_of_model(output: Path) -> str | None:
    """Returns the name of the run whose model lies in an output folder, None if it does not say."""
    run = (_read(output / _MODEL_OF) or {}).get("run")
    return Path(run).name if isinstance(run, str) else None


def runs_in(output: Path) -> list[Run]:
    """The runs of an output folder that left a record, the oldest first."""
    folders = sorted((output / "runs").glob(f"*/{_RECORD}"))
    found = [Run(path.parent, record) for path in folders if (record := _read(path)) is not None]
    return sorted(found, key=lambda run: (str(run.record.get("started_at")), run.folder.name))


def load_run(folder: Path) -> Run:
    """A run to repeat. Raises CannotRun, saying what is missing or not as it was."""
    record = _read(folder / _RECORD)
    if record is None:
        raise CannotRun(f"`{folder}` is no run: it has no {_RECORD} that can be read")
    if "program" not in record:
        raise CannotRun(f"`{folder}` holds no program: it was not started from a file")
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
        raise CannotRun(f"the run was started in `{record['folder']}`, which is gone; name another: `--in FOLDER`")
    resumed_from = record.get("resumed_from")
    if resumed_from is not None and not Path(resumed_from).is_dir():
        raise CannotRun(f"the run went on from `{resumed_from}`, which is gone: it cannot be repeated from there")
    return Run(folder, record)


def changed_versions(run: Run) -> list[str]:
    """Packages of other versions than when the run was started."""
    changed = []
    for package, before in run.record.get("versions", {}).items():
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


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _is_alive(process: dict[str, Any]) -> bool:
    """Whether that very process runs; one on another machine is believed to."""
    if process.get("host") != socket.gethostname():
        return True
    try:
        status = Path(f"/proc/{process.get('pid')}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists() and _answers(process.get("pid"))
    except OSError:
        return True
    return status.rpartition(")")[2].split()[19] == process.get("started")


def _answers(pid: object) -> bool:
    """Whether there is a process of this number, on systems without /proc."""
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
