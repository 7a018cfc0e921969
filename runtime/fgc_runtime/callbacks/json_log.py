"""Log records to `trainer_logs.json`: one JSON object per line, written at once, so that a killed run loses none.

A disk that is full does not end a training: records wait for it in memory.
"""

import json
import math
import platform
import time
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import torch
import transformers

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.full_disk import FULL_DISK, reason_of
from fgc_runtime.output import say


class JsonLogCallback(TrainerCallback):
    """The first line describes the run, the others are records with `timestamp` (Unix seconds), step and epoch."""

    def __init__(self, file_name: str = "trainer_logs.json") -> None:
        self.file_name = file_name
        self._path: Path | None = None  # while a training runs
        self._file: FileIO | None = None
        self._waiting: list[bytes] = []  # lines that the disk has not taken

    def on_train_begin(self, run: TrainingRun) -> None:
        """Open the file; an existing one is continued. Raises OSError for one that cannot be opened."""
        if not run.is_main:
            return
        self._path = run.logging_dir / self.file_name
        try:
            self._open(self._path)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
        self._write(_description(run))

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Append one record."""
        state = run.state
        position = {"global_step": state.global_step, "epoch": state.epochs_done, "num_tokens": state.num_tokens}
        self._write({"timestamp": time.time(), **position, **logs})

    def on_train_end(self, run: TrainingRun) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._path = self._file = None
        if self._waiting:
            say(f"warning: the last {len(self._waiting)} records could not be logged", is_warning=True)
            self._waiting.clear()

    def _open(self, path: Path) -> FileIO:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)
        if _is_cut_off(path):
            file.write(b"\n")
        self._file = file
        return file

    def _write(self, record: dict[str, object]) -> None:
        if self._path is None:
            return
        finite = {key: None if _is_not_json(value) else value for key, value in record.items()}
        self._waiting.append(json.dumps(finite, default=str, allow_nan=False).encode() + b"\n")
        text = b"".join(self._waiting)
        try:
            num_written = (self._file or self._open(self._path)).write(text)
        except OSError as error:
            if len(self._waiting) == 1:
                say(f"warning: {self._path}: {reason_of(error)}: log records wait in memory", is_warning=True)
            return
        rest = text[num_written:]
        self._waiting = [rest] if rest else []


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a log, that of a run which is going on, or was killed, included.

    A line that was cut off in the middle is left out.
    """
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def _is_cut_off(path: Path) -> bool:
    """Returns True if the process that wrote the file was killed within a line."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() != b"\n"


def _is_not_json(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _description(run: TrainingRun) -> dict[str, object]:
    return {
        "event": "train_begin",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "global_step": run.state.global_step,
        "max_steps": run.max_steps,
        "world_size": run.world_size,
        "num_parameters": run.num_parameters,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "arguments": dict(run.arguments),
    }
