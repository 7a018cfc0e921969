"""An output folder to the folders of its runs, and to the runs that are going on there.

Each run writes into a folder that nobody else has, `runs/<name>_<time>`; two trainings beside each other never mix.
"""

import fcntl
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgc_runtime.output import say

RECORD = "run.json"
_LOCK = ".model.lock"


@dataclass(frozen=True, slots=True)
class LivingRun:
    """A run whose process is there on this machine."""

    folder: Path
    pid: int
    configuration: str | None
    resumed_from: Path | None

    def __str__(self) -> str:
        return f"{self.folder} (process {self.pid})"


def claim(output_dir: Path, name: str) -> Path:
    """Returns a new folder `runs/<name>_<time>`. Clocks jump, and two runs may begin within a second."""
    folder = output_dir / "runs" / f"{name.replace('/', '_')}_{time.strftime('%Y-%m-%dT%H-%M-%S')}"
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    for path in itertools.chain([folder], numbered):
        with suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
    raise AssertionError("there is always a further number")


def living_runs(output_dir: Path) -> list[LivingRun]:
    """Returns the runs below an output folder that are going on on this machine."""
    folders = sorted(path.parent for path in (output_dir / "runs").glob(f"*/{RECORD}"))
    return [run for folder in folders if (run := living_run(folder)) is not None]


def living_run(folder: Path) -> LivingRun | None:
    """Returns the run of a folder if it is going on on this machine."""
    record = _read(folder / RECORD)
    process = _process(record)
    if record.get("state") != "running" or process.get("host") != socket.gethostname() or not _is_there(process):
        return None
    return LivingRun(folder, process["pid"], record.get("configuration"), start_of(folder))


def start_of(folder: Path) -> Path | None:
    """Returns the checkpoint that a run went on from; None for one that began anew, and without a record."""
    resumed_from = _read(folder / RECORD).get("resumed_from")
    return Path(resumed_from) if isinstance(resumed_from, str) else None


def has_ended(folder: Path) -> bool:
    """Returns True if a run is known to be over: it says so, its process is gone, or its job of Slurm began anew."""
    record = _read(folder / RECORD)
    process = _process(record)
    if record.get("state") != "running":
        return True
    is_same_job = process.get("slurm_job") is not None and process["slurm_job"] == os.environ.get("SLURM_JOB_ID")
    return is_same_job or (process.get("host") == socket.gethostname() and not _is_there(process))


@contextmanager
def turn_of(folder: Path, run: str) -> Iterator[None]:
    """Waits until no other run writes the model of `folder`; while the body runs, `.model.lock` there names `run`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            say(f"Waiting for {file.read().strip() or 'another run'}, which is writing its model to {folder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            yield
            return
        file.truncate(0)
        file.write(f"{run}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def process_start(pid: int) -> str | None:
    """Returns when a process began, in the kernel's ticks: with its number a name that no other process gets.

    None for a process that is not there, and where the kernel does not say.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _process(record: Mapping[str, Any]) -> Mapping[str, Any]:
    process = record.get("process")
    return process if isinstance(process, dict) else {}


def _is_there(process: Mapping[str, Any]) -> bool:
    pid = process.get("pid")
    if not isinstance(pid, int):
        return False
    if Path("/proc/self/stat").exists():
        started = process_start(pid)
        return started is not None and started == process.get("started")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
