"""A training to the sweep that started it: numbers go out, and whether to go on comes back, through files.

`FGC_TRIAL` names the folder of the trial, with `trial.json`, which the sweep wrote. A report is a line of
`reports.jsonl`; the sweep answers those that hold its metric in `answer.json`. Without `FGC_TRIAL` there is no trial,
and a program is what it always is. Needs nothing but Python, so that any training can report.
"""

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VARIABLE = "FGC_TRIAL"
ABOUT, REPORTS, ANSWER = "trial.json", "reports.jsonl", "answer.json"
_LONGEST_WAIT_S = 120.0  # a sweep builds its next trial meanwhile; then the training goes on without an answer
_LOOK_S = 0.005
_ALIVE_FOR_S = 1.0  # how long a look at the sweep's process is believed


class Trial:
    """One trial of a sweep, as the training knows it."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError if the folder is that of no trial."""
        self.folder = folder
        try:
            about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            self.sweep, self.number = str(about["sweep"]), int(about["number"])
            self.metric, self.values = str(about["metric"]), dict(about["values"])
            self._driver = dict(about["process"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{VARIABLE} ({folder}) must be the folder of a trial: {error}") from None
        self._count = 0
        self._looked_s = float("-inf")
        self._is_orphan = False

    @property
    def is_orphan(self) -> bool:
        """Returns True if the sweep's process was on this machine and is gone."""
        if not self._is_orphan and time.monotonic() - self._looked_s > _ALIVE_FOR_S:
            self._looked_s = time.monotonic()
            is_here = self._driver.get("host") == socket.gethostname()
            self._is_orphan = is_here and not _is_there(self._driver)
        return self._is_orphan

    def begin(self, *, run: Path, step: int, max_steps: int) -> None:
        """Say where the run's folder is, and between which steps it trains."""
        self._write({"event": "begin", "run": str(run.absolute()), "step": step, "max_steps": max_steps})

    def report(self, metrics: Mapping[str, float], *, step: int) -> str | None:
        """Hand on numbers of a step; if the sweep's metric is among them, wait for what it says.

        Returns why the trial should end now, or None to go on. A sweep that is gone has nothing to say.
        """
        self._write({"event": "metrics", "step": step, "metrics": dict(metrics)})
        return self._answer() if self.metric in metrics else None

    def _write(self, record: Mapping[str, object]) -> None:
        self._count += 1
        with (self.folder / REPORTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"number": self._count, **record}) + "\n")

    def _answer(self) -> str | None:
        give_up_s = time.monotonic() + _LONGEST_WAIT_S
        while time.monotonic() < give_up_s and not self.is_orphan:
            try:
                answer = json.loads((self.folder / ANSWER).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                answer = {}
            if answer.get("number") == self._count:
                reason = answer.get("prune")
                return None if reason is None else str(reason)
            time.sleep(_LOOK_S)
        return None


def current_trial() -> Trial | None:
    """Returns the trial that this process is part of; None if no sweep started it. Raises ValueError."""
    folder = os.environ.get(VARIABLE)
    return Trial(Path(folder)) if folder else None


def _is_there(process: Mapping[str, Any]) -> bool:
    """Returns True if that very process runs: a number alone may be another's by now."""
    try:
        status = Path(f"/proc/{process.get('pid')}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[19] == process.get("started")
    except (OSError, IndexError):
        return not Path("/proc/self/stat").exists() and _answers(process.get("pid"))


def _answers(pid: object) -> bool:
    """Returns True if there is a process of this number, on systems without /proc."""
    try:
        os.kill(pid if isinstance(pid, int) else -1, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
