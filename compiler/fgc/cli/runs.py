"""Runs on disk: what their records say, whether they still run, and whether their program is the one that ran."""

import hashlib
import json
import os
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.reading import read_bytes, read_json

_RECORD = "run.json"
_LOGS = "trainer_logs.json"
_TAIL_BYTES = 64 * 1024  # of a log: the last records are in there


class Run(Struct, frozen=True):
    """One folder below `runs/`."""

    folder: Path
    record: dict[str, Any]

    @property
    def state(self) -> str:
        """`running`, `finished`, `stopped`, `failed`; `killed` for one whose process is gone without a word."""
        state = str(self.record.get("state"))
        return "killed" if state == "running" and not _is_alive(self.record.get("process", {})) else state

    @property
    def last(self) -> dict[str, Any]:
        """Step and loss of the newest log records; empty without a log."""
        path = self.folder / _LOGS
        if not path.is_file():
            return {}
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().splitlines()
        found: dict[str, Any] = {}
        for line in lines:
            try:
                found |= {name: value for name, value in json.loads(line).items() if name in ("global_step", "loss")}
            except (ValueError, AttributeError):  # the first line may be cut, as may the last of a killed run
                continue
        return found


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
