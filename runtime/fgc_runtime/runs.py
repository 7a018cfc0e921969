"""A training to its run's folder: the program, the words and surroundings it was started with, and how it ended.

`run.json` is enough to run the program again; `program/` holds it, so that later edits change nothing. Needs nothing
but Python.
"""

import hashlib
import json
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RECORD = "run.json"
PROGRAM = "program"
_FORMAT = 1
_MANIFEST = "manifest.json"
_PACKAGES = ("torch", "transformers", "tokenizers", "datasets")
_ENVIRONMENT = ("FGC_TRAINING_ARGUMENTS", "PYTHONPATH")  # what of the surroundings changes what a program does


class RunRecord:
    """What is known of a run, on disk from its beginning on."""

    def __init__(self, folder: Path, *, world_size: int, output_dir: Path, resumed_from: Path | None) -> None:
        self.folder = folder
        self._values: dict[str, object] = {
            "format": _FORMAT,
            "state": "running",
            "started_at": _now(),
            "process": {"host": socket.gethostname(), "pid": os.getpid(), "started": process_start(os.getpid())},
            "folder": str(Path.cwd()),
            "words": _words(resumed_from),
            "world_size": world_size,
            "output_dir": str(output_dir.absolute()),
            "resumed_from": str(resumed_from.absolute()) if resumed_from else None,
            "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            "versions": versions(),
        }

    def begin(self, fingerprint: Mapping[str, object]) -> None:
        """Copy the program and write the record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        main = getattr(sys.modules["__main__"], "__file__", None)
        if main is not None and Path(main).is_file():
            self._values["files"] = keep_program(Path(main), self.folder / PROGRAM)
            self._values["program"] = f"{PROGRAM}/{Path(main).name}"
        self._values["fingerprint"] = dict(fingerprint)
        self._write()

    def end(self, state: str, **more: object) -> None:
        """Say how it ended: finished, stopped, or failed."""
        self._values |= {"state": state, "ended_at": _now(), **more}
        self._write()

    def _write(self) -> None:
        unfinished = self.folder / f"{RECORD}.unfinished"
        unfinished.write_text(json.dumps(self._values, indent=2, default=str) + "\n", encoding="utf-8")
        unfinished.replace(self.folder / RECORD)


def fingerprint_of(folder: Path) -> dict[str, object]:
    """What the numbers of a recorded run depended on."""
    found: dict[str, object] = json.loads((folder / RECORD).read_text(encoding="utf-8"))["fingerprint"]
    return found


def keep_program(main: Path, folder: Path) -> dict[str, str]:
    """Copy a program, with all that its build wrote, into an empty `folder`; the hash of each file by its name."""
    manifest = main.with_name(_MANIFEST)
    names = [main.name]
    if manifest.is_file():
        outputs = json.loads(manifest.read_text(encoding="utf-8")).get("outputs", {})
        names = sorted({*names, *outputs, _MANIFEST})
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in names:
        if (main.parent / name).is_file():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(main.parent / name, unfinished / name)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return {name: _hash(folder / name) for name in names if (folder / name).is_file()}


def versions() -> dict[str, str]:
    """Of Python and of what the numbers come from."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def process_start(pid: int) -> str | None:
    """When a process began, in the kernel's ticks: with its number that is a name no other process gets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _words(resumed_from: Path | None) -> list[str]:
    """The command line; a `--resume` that means the latest checkpoint names it: there will be a later one."""
    words = sys.argv[1:]
    if "--resume" not in words:
        return words
    position = words.index("--resume")
    has_value = position + 1 < len(words) and not words[position + 1].startswith("-")
    rest = [*words[:position], *words[position + 1 + has_value :]]
    return [*rest, "--resume", str(resumed_from.absolute())] if resumed_from else rest


def _hash(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
