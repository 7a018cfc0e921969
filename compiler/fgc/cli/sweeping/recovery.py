"""Reads what a killed sweep left: what its trials came to, or which others go on from their checkpoints.

A trial's process ends by itself when its sweep is gone, with a checkpoint; one that had finished has its result.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

from optuna.trial import FrozenTrial

from fgc.cli.runs import Run, is_alive, read_run
from fgc.cli.sweeping.space import active
from fgc.cli.sweeping.study import Study, values_of
from fgc.cli.sweeping.trials import REPORTS
from fgc.reading import read_bytes

Fate: TypeAlias = Literal["resume", "restart", "fail"]
_PATIENCE_S = 60.0


def recover(study: Study, folder: Path, fate: Fate, say: Callable[[str], None]) -> None:
    """Settle all trials that are running for nobody."""
    for trial in study.stale():
        _let_end(trial, say)
        run = _run_of(trial, folder)
        value = _finished_value(study, run, trial, folder)
        if value is not None:
            study.tell(trial.number, "complete", value=value, run=str(run.folder) if run else None)
            say(f"trial {trial.number} finished after its sweep had ended: {study.plan.metric} {value:.4g}")
            continue
        _hand_on(study, trial, run, fate, say)


def _hand_on(study: Study, trial: FrozenTrial, run: Run | None, fate: Fate, say: Callable[[str], None]) -> None:
    """First the new trial, then the end of the old one: killed in between, the next recovery finds both."""
    values = values_of(trial, study.plan.dimensions)
    is_whole = set(values) == {each.name for each in active(study.plan.dimensions, values)}
    is_there = any(other.user_attrs.get("continues") == trial.number for other in study.trials)
    if fate == "fail":
        study.tell(trial.number, "failed", reason="its sweep was killed", run=str(run.folder) if run else None)
        say(f"trial {trial.number} was running when its sweep was killed: failed")
        return
    if is_whole and not is_there:
        study.enqueue(values, continues=trial.number)
    study.tell(
        trial.number,
        "interrupted",
        reason="its sweep was killed",
        run=str(run.folder) if run and fate == "resume" else None,
    )
    what = "resumes from its checkpoint" if fate == "resume" and run is not None else "begins anew"
    say(f"trial {trial.number} was running when its sweep was killed: it {what}")


def _let_end(trial: FrozenTrial, say: Callable[[str], None]) -> None:
    """Wait for a process that may still be writing its checkpoint; then end it."""
    process: dict[str, Any] = trial.user_attrs.get("process") or {}
    if not isinstance(process.get("pid"), int) or process.get("host") != os.uname().nodename or not is_alive(process):
        return
    say(f"waiting for trial {trial.number} (process {process['pid']}), which ends by itself")
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            with suppress(OSError):
                os.kill(process["pid"], number)
        end_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end_s and is_alive(process):
            time.sleep(0.1)
        if not is_alive(process):
            return


def _run_of(trial: FrozenTrial, folder: Path) -> Run | None:
    """The run of a trial, which may have begun when nobody took note any more."""
    noted = trial.user_attrs.get("run")
    if noted is None:
        begun = [each["run"] for each in _reports(trial, folder) if each.get("event") == "begin"]
        noted = begun[-1] if begun else None
    return None if noted is None else read_run(Path(noted))


def _finished_value(study: Study, run: Run | None, trial: FrozenTrial, folder: Path) -> float | None:
    """The value of a trial that came to its end without its sweep."""
    if run is None or run.state != "finished":
        return None
    name = study.plan.metric
    found = [each["metrics"][name] for each in _reports(trial, folder) if name in each.get("metrics", {})]
    finite = [value for value in found if isinstance(value, (int, float)) and value == value]
    if not finite or found[-1] != found[-1]:
        return None
    return max(finite, key=lambda value: study.plan.sign * value) if study.plan.judge_by == "best" else finite[-1]


def _reports(trial: FrozenTrial, folder: Path) -> list[dict[str, Any]]:
    path = folder / "trials" / f"{trial.number:04d}" / REPORTS
    found = []
    try:
        lines = read_bytes(path).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # cut off, or somebody else's
            continue
        if isinstance(record, dict):
            found.append(record)
    return found
