"""A sweep that is interrupted or killed leaves nothing running, and goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")
from fgc.cli.sweeping.driver import Limits, Sweep
from fgc.cli.sweeping.endings import Ending

WORDS = ["sweep", "bowl.yaml", "--over", "main.lr=0.01,0.1,1.0", "--over", "main.width=4,8", "--jobs", "2"]
STUDY = "out/bowl/sweeps/bowl"


@contextmanager
def start(*more: str) -> Iterator["subprocess.Popen[str]"]:
    """A sweep; it ends with the test, also with one that fails, and its trials end without it."""
    command = [sys.executable, "-m", "fgc", *WORDS, *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end_s, "it never came to this"
        time.sleep(0.02)


def has_reported() -> bool:
    return any(path.stat().st_size for path in Path(STUDY, "trials").glob("*/reports.jsonl"))


def running_trials() -> list[int]:
    """The processes of trials, by what started them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:
            continue
        if b"FGC_TRIAL=" + str(Path(STUDY).absolute()).encode() in environment:
            found.append(int(path.parent.name))
    return found


def shown(run: Any) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads(run("sweep", "show", STUDY, "--format", "json").out)["trials"]
    return trials


@pytest.fixture
def slow(bowl: Path) -> Path:
    Path("bowl.yaml").write_text(Path("bowl.yaml").read_text().replace("pause: 0.0", "pause: 0.3"))
    return bowl


def require_whole(run: Any) -> None:
    """Every combination has one result, and no trial is left over."""
    trials = shown(run)
    complete = [tuple(trial["values"].values()) for trial in trials if trial["state"] == "complete"]
    assert sorted(complete) == sorted((lr, width) for lr in ("0.01", "0.1", "1.0") for width in ("4", "8"))
    assert {trial["state"] for trial in trials} <= {"complete", "interrupted"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_trials_and_keeps_the_study(run: Any, slow: Path, number: signal.Signals) -> None:
    with start() as sweep:
        wait_until(has_reported)
        sweep.send_signal(number)
        _, errors = sweep.communicate(timeout=120)
    assert (sweep.returncode, "Traceback" in errors) == (130, False), errors
    assert running_trials() == []
    assert "running" not in {trial["state"] for trial in shown(run)}
    with start("--resume") as again:
        _, errors = again.communicate(timeout=240)
    assert again.returncode == 0, errors
    require_whole(run)


@pytest.mark.slow
def test_a_kill_loses_no_combination_and_a_torn_journal_is_mended(run: Any, slow: Path) -> None:
    with start() as sweep:
        wait_until(has_reported)
        sweep.kill()
        sweep.communicate(timeout=60)
    for process in running_trials():
        os.kill(process, signal.SIGKILL)
    with Path(STUDY, "study.journal").open("a") as journal:
        journal.write('{"op_code":5,"worker_id"')
    with start("--resume") as again:
        _, errors = again.communicate(timeout=240)
    assert again.returncode == 0, errors
    assert "was running when its sweep was killed" in errors
    require_whole(run)


@pytest.mark.slow
def test_a_second_sweep_of_the_name_is_refused_while_the_first_runs(run: Any, slow: Path) -> None:
    with start() as sweep:
        wait_until(has_reported)
        for more in ((), ("--resume",)):
            result = run(*WORDS, *more)
            assert (result.code, "is running (process" in result.err) == (2, True), result.err
        sweep.send_signal(signal.SIGINT)
        sweep.communicate(timeout=120)
    assert running_trials() == []


class _Noted:
    """Stands for a study and for the progress that is shown; keeps the order of what is written down."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def tell(self, number: int, outcome: str, **_: object) -> None:
        self.calls.append(outcome)

    def enqueue(self, values: object, *, continues: int) -> None:
        self.calls.append(f"continue {continues}")

    def trial_ended(self, study: object, number: int) -> None:
        pass


def test_an_interrupted_trial_is_decided_on_anew_before_it_is_given_up() -> None:
    """Killed between the two, a grid would take the combination for tried."""
    noted: Any = _Noted()
    sweep = Sweep(noted, noted, Path(), Namespace(), Limits(None, None, 1), [None], noted)
    sweep._ended(3, {}, Ending("interrupted"), seconds=1.0)
    assert noted.calls == ["continue 3", "interrupted"]
