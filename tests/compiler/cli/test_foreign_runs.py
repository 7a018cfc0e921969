"""Records and logs that somebody else made: each command tells of them. It waits for none, and none ends it."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from fgc.cli.runs import is_alive

from .conftest import Run

HOST = socket.gethostname()
RECORDS: dict[str, dict[str, Any]] = {
    "types": {key: [1] for key in ("state", "step", "max_steps", "started_at", "configuration", "words", "metric")},
    "strings": dict.fromkeys(("process", "environment", "trial", "versions", "files", "step"), "x"),
    "path": {"state": "running", "process": {"host": HOST, "pid": "../../tmp", "started": "1"}},
    "group": {"state": "running", "process": {"host": HOST, "pid": -1, "started": "1"}},
    "rows": {"state": "finished", "configuration": "a\nother  b  finished  1/1"},
    "good": {"state": "finished", "step": 3, "max_steps": 3, "configuration": "c"},
}
LOG = [
    {"event": "train_begin", "max_steps": "many", "num_parameters": [1], "world_size": {}, "time": 1},
    {"global_step": 10**400, "loss": 1.0, "timestamp": 1e300},
    {"global_step": 1, "loss": 10**400, "a$\\x$": 2.0, "num_tokens": float("inf"), "epoch": 10**400, "timestamp": 1},
    {"global_step": 2, "loss": 0.5, "a$\\x$": 1.0, "train_runtime": 1e299, "train_tokens": "x", "timestamp": 1e200},
]


@pytest.fixture
def output(run: Run) -> Path:
    runs = Path("out/runs")
    for name, record in RECORDS.items():
        (runs / name).mkdir(parents=True)
        (runs / name / "run.json").write_text(json.dumps(record))
    for name in ("types", "good"):
        (runs / name / "trainer_logs.json").write_text("".join(json.dumps(line) + "\n" for line in LOG))
    (runs / "deep").mkdir()
    (runs / "deep" / "run.json").write_text("[" * 100_000)
    return Path("out")


COMMANDS = (
    ("runs",), ("runs", "--disk", "--sort", "started"), ("runs", "--sort", "step"), ("runs", "--format", "csv"),
    ("runs", "--format", "json"), ("runs", "prune", "--keep", "1"), ("logs", "list"), ("logs", "summary", "--all"),
    ("logs", "summary", "--all", "--format", "md"), ("logs", "summary", "--all", "--format", "one-line"),
    ("logs", "plot", "--all", "--metrics", "loss,a$\\x$"), ("logs", "plot", "--all", "--x", "time"),
)  # fmt: skip


def test_no_record_and_no_log_stops_a_command_or_makes_rows(run: Run, output: Path) -> None:
    for words in COMMANDS:
        result = run(*words, "--folder", "out")
        assert result.code == 0 and not result.err, (words, result)
        if "json" not in words and "csv" not in words:
            assert not any(line.startswith("other") for line in result.out.splitlines())


def test_dollars_in_names_are_letters_in_pictures(run: Run, output: Path) -> None:
    result = run("logs", "plot", "--all", "--metrics", "a$\\x$", "-o", "p.svg", "--folder", "out", "--title", "$\\x$")
    assert result.code == 0 and Path("p.svg").stat().st_size > 1000


def test_no_command_waits_for_a_pipe_in_place_of_a_log(run: Run, output: Path) -> None:
    os.mkfifo("out/runs/rows/trainer_logs.json")
    assert "rows" in run("runs", "--folder", "out").out
    assert "is not a regular file" in run("logs", "list", "--folder", "out").err.replace("cannot be read: ", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": 1}, "`files` in its run.json is not as fgc writes it"),
        ({"words": [1]}, "not a list of words"),
        ({"environment": {"$(x)": ""}}, "not the name of a variable"),
    ],
)
def test_a_run_is_repeated_only_from_a_record_as_fgc_writes_it(run: Run, change: dict[str, Any], message: str) -> None:
    Path("r/program").mkdir(parents=True)
    record = {"program": "program/t.py", "files": {}, "folder": ".", "words": [], "world_size": 1, "environment": {}}
    Path("r/run.json").write_text(json.dumps({**record, **change}))
    result = run("rerun", "r", "--dry-run")
    assert result.code == 2 and message in result.err


@pytest.mark.parametrize("pid", [0, -1, True, "1", None, "../../tmp"])
def test_what_is_no_number_of_a_process_is_not_alive(pid: object) -> None:
    assert not is_alive({"host": HOST, "pid": pid, "started": None})
