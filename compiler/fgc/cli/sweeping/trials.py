"""A trial's program as a process: started in a session of its own, its reports read, ended by a signal.

The other side of `fgc_runtime.trial`.
"""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from fgc.cli.runs import Run, read_run
from fgc.cli.sweeping.processes import process_identity
from fgc.cli.sweeping.space import Values

_ABOUT, REPORTS, _ANSWER, OUTPUT = "trial.json", "reports.jsonl", "answer.json", "output.log"
_TAIL_BYTES = 16 * 1024


class Start(Struct, frozen=True):
    """Settings for starting a trial's process."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


class Report(Struct, frozen=True):
    """Numbers of a step; `number` names it in an answer."""

    number: int
    step: int
    metrics: Mapping[str, float]


class TrialProcess:
    """A trial that is running. `folder` holds its reports and what it prints."""

    def __init__(self, folder: Path, number: int, values: Values, digest: str) -> None:
        self.folder = folder
        self.number = number
        self.values = values
        self.digest = digest
        self.run: Path | None = None
        self.step, self.max_steps = 0, 0
        self.latest: dict[str, float] = {}
        self.prune_reason: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reports: IO[bytes] | None = None

    def start(self, start: Start, *, sweep: str, metric: str) -> None:
        """Start it. Raises OSError where there is no room for its files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (REPORTS, _ANSWER):
            (self.folder / name).unlink(missing_ok=True)
        about = {
            "sweep": sweep,
            "number": self.number,
            "metric": metric,
            "values": self.values,
            "process": process_identity(os.getpid()),
        }
        (self.folder / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        (self.folder / REPORTS).touch()
        self._reports = (self.folder / REPORTS).open("rb")
        environment = {**start.environment, "FGC_TRIAL": str(self.folder.absolute())}
        with (self.folder / OUTPUT).open("ab") as output:
            self._process = subprocess.Popen(
                start.command,
                cwd=start.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def identity(self) -> dict[str, Any]:
        """A name of the process that no other one gets."""
        assert self._process is not None, "it was started"
        return process_identity(self._process.pid)

    @property
    def is_at_end(self) -> bool:
        """Returns True if the last step has been reported; a program that never said how many it makes is not."""
        return 0 < self.max_steps <= self.step

    def reports(self) -> list[Report]:
        """Returns what has been reported since the last time, in order."""
        assert self._reports is not None, "it was started"
        found: list[Report] = []
        while True:
            begin = self._reports.tell()
            line = self._reports.readline()
            if not line.endswith(b"\n"):
                self._reports.seek(begin)
                return found
            record = _record(line)
            if record.get("event") == "begin":
                self.run, self.max_steps = Path(record["run"]), int(record["max_steps"])
            elif record.get("event") == "metrics":
                self.step = int(record["step"])
                self.latest |= record["metrics"]
                found.append(Report(int(record["number"]), self.step, record["metrics"]))

    def answer(self, report: Report, prune_reason: str | None) -> None:
        """Say whether to go on after a report."""
        self.prune_reason = prune_reason
        fresh = self.folder / f".{_ANSWER}"
        fresh.write_text(json.dumps({"number": report.number, "prune": prune_reason}), encoding="utf-8")
        fresh.replace(self.folder / _ANSWER)

    def exit_code(self) -> int | None:
        """Returns its exit code; None while it is running."""
        assert self._process is not None, "it was started"
        return self._process.poll()

    def interrupt(self) -> None:
        """Ask it to write a checkpoint and leave."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it now, with all its processes."""
        self._send(signal.SIGKILL, is_for_all=True)

    def _send(self, number: signal.Signals, *, is_for_all: bool = False) -> None:
        assert self._process is not None, "it was started"
        if self._process.poll() is None:
            (os.killpg if is_for_all else os.kill)(self._process.pid, number)

    def close(self) -> None:
        """Take note that it has ended."""
        assert self._process is not None, "it was started"
        self._process.wait()
        if self._reports is not None:
            self._reports.close()


def record_of(run: Path | None) -> Run | None:
    """Returns what a run's folder says of it."""
    return None if run is None else read_run(run)


def last_words(folder: Path) -> str:
    """Returns the last line that a trial printed: of a failed one, its error."""
    path = folder / OUTPUT
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
