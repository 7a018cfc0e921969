"""A training to its run's folder: the program, the words and surroundings it was started with, and how it ended.

`run.json` is enough to run the program again; `program/` holds it as it was when it started. Needs nothing but Python.
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

from fgc_runtime.full_disk import reason_of, room_errors
from fgc_runtime.output import say
from fgc_runtime.runs.folders import RECORD, process_start
from fgc_runtime.runs.repository import keep_repository
from fgc_runtime.secrets import is_secret, placeholder, secret_options, without_secrets
from fgc_runtime.sources import MANIFEST, ProgramFiles, program_files

PROGRAM = "program"
_FORMAT = 1
_MODEL_OF = "trained_by.json"
_PACKAGES = ("torch", "transformers", "tokenizers", "datasets")
_ENVIRONMENT = ("FGC_TRAINING_ARGUMENTS", "PYTHONPATH")  # what of the surroundings changes what a program does


class RunRecord:
    """Holds what is known of a run, on disk from its beginning on."""

    def __init__(self, folder: Path, *, world_size: int, output_dir: Path, resumed_from: Path | None) -> None:
        self.folder = folder
        self._values: dict[str, object] = {
            "format": _FORMAT,
            "state": "running",
            "started_at": _now(),
            "configuration": configuration(),
            "process": {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started": process_start(os.getpid()),
                "slurm_job": os.environ.get("SLURM_JOB_ID"),
            },
            "folder": str(Path.cwd()),
            "words": _words(resumed_from),
            "world_size": world_size,
            "output_dir": str(output_dir.absolute()),
            "resumed_from": str(resumed_from.absolute()) if resumed_from else None,
            "environment": {name: _known(os.environ[name]) for name in _ENVIRONMENT if name in os.environ},
            "versions": versions(),
        }

    def begin(self, fingerprint: Mapping[str, object], **more: object) -> None:
        """Copy the program and write the record: as long as the process is there, the folder is this run's."""
        with room_errors(self.folder):
            self._write()
            own = program_files()
            if own is not None:
                self._values["files"] = keep_program(own, self.folder / PROGRAM)
                self._values["program"] = f"{PROGRAM}/{own.main}"
            self._values |= {"fingerprint": dict(fingerprint), **more}
            self._values["repository"] = keep_repository(Path.cwd(), self.folder)
            self._write()

    def end(self, state: str, **more: object) -> None:
        """Say how it ended: finished, stopped, or failed. A record that cannot be written is told, and no error."""
        self._values |= {"state": state, "ended_at": _now(), **more}
        try:
            self._write()
        except OSError as error:
            say(f"warning: {self.folder / RECORD} does not say how the run ended: {reason_of(error)}", is_warning=True)

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{RECORD}.unfinished"
        unfinished.write_text(json.dumps(self._values, indent=2, default=str) + "\n", encoding="utf-8")
        unfinished.replace(self.folder / RECORD)


def configuration() -> str | None:
    """Returns the name of what this program was built from, or of the program; None where it is no file."""
    own = program_files()
    if own is None:
        return None
    try:
        manifest = json.loads(own.contents.get(MANIFEST, b"{}"))
    except (ValueError, RecursionError):
        return own.main
    name = manifest.get("configuration") if isinstance(manifest, dict) else None
    return name if isinstance(name, str) else own.main


def note_model(folder: Path, run: Path, step: int) -> None:
    """Write down beside a model which run trained it, and for how many steps."""
    about = {"run": os.path.relpath(run.absolute(), folder.absolute()), "configuration": configuration(), "step": step}
    fresh = folder / f".{_MODEL_OF}"
    fresh.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    fresh.replace(folder / _MODEL_OF)


def model_of(folder: Path) -> tuple[Path | None, int | None]:
    """Returns which run trained the model in a folder, and its step; nothing where the folder does not say."""
    try:
        about = json.loads((folder / _MODEL_OF).read_text(encoding="utf-8"))
        run, step = folder / about["run"], about["step"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None, None
    return (run, step) if (run / RECORD).is_file() and isinstance(step, int) else (None, None)


def fingerprint_of(folder: Path) -> dict[str, object]:
    """Returns what the numbers of a recorded run depended on."""
    found: dict[str, object] = json.loads((folder / RECORD).read_text(encoding="utf-8"))["fingerprint"]
    return found


def keep_program(own: ProgramFiles, folder: Path) -> dict[str, str]:
    """Write a program, with all that its build wrote, into an empty `folder`; the hash of each file by its name."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name, content in own.contents.items():
        (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
        (unfinished / name).write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return {name: "sha256:" + hashlib.sha256(content).hexdigest() for name, content in own.contents.items()}


def versions(*more: str) -> dict[str, str]:
    """Returns versions of Python, of what the numbers come from, and of `more` packages."""
    found = {"python": platform.python_version()}
    for package in (*_PACKAGES, *more):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _known(setting: str) -> str:
    """A setting as the record has it: the secrets in a mapping of arguments are left out."""
    try:
        values = json.loads(setting)
    except (ValueError, RecursionError):
        return setting
    if not isinstance(values, dict):
        return setting
    return json.dumps({name: placeholder(name) if is_secret(name) else value for name, value in values.items()})


def _words(resumed_from: Path | None) -> list[str]:
    """The command line; a `--resume` that means the latest checkpoint names it: there will be a later one."""
    own = program_files()
    text = "" if own is None else own.contents.get(own.main, b"").decode(errors="replace")
    words = without_secrets(sys.argv[1:], secret_options(text))
    if "--resume" not in words:
        return words
    position = words.index("--resume")
    has_value = position + 1 < len(words) and not words[position + 1].startswith("-")
    rest = [*words[:position], *words[position + 1 + has_value :]]
    return [*rest, "--resume", str(resumed_from.absolute())] if resumed_from else rest


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
