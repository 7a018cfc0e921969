"""`fgc runs` sorted, as CSV and live; `fgc runs prune`, which keeps what is needed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def write_run(name: str, *, eval_loss: float | None = None, state: str = "finished", **record: Any) -> Path:
    folder = Path("out/runs") / name
    folder.mkdir(parents=True)
    about = {"state": state, "step": 4, "max_steps": 4, "started_at": name.rpartition("_")[2], "words": [], **record}
    (folder / "run.json").write_text(json.dumps(about))
    values = {} if eval_loss is None else {"eval_loss": eval_loss}
    (folder / "trainer_logs.json").write_text(json.dumps({"global_step": 4, "loss": 1.5, **values}) + "\n")
    (folder / "weights.bin").write_bytes(b"0" * 5000)
    return folder


@pytest.fixture
def runs(run: Any) -> Path:
    write_run("a_2026-01-01T00-00-00", eval_loss=3.0, configuration="a.yaml")
    write_run("b_2026-01-02T00-00-00", eval_loss=2.0, trial={"sweep": "s", "number": 1, "values": {"main.lr": "0.1"}})
    write_run("c_2026-01-03T00-00-00", state="failed", reason="ValueError: x")
    write_run("d_2026-01-04T00-00-00", eval_loss=4.0)
    return Path("out")


def names(text: str) -> list[str]:
    return [line[0] for line in text.splitlines()[1:] if line.strip()]


def test_runs_are_sorted_by_a_column_and_those_without_a_value_come_last(run: Any, runs: Path) -> None:
    assert names(run("runs", "--folder", "out", "--sort", "best").out) == ["b", "a", "d", "c"]
    assert names(run("runs", "--folder", "out", "--sort=-best").out) == ["d", "a", "b", "c"]
    result = run("runs", "--folder", "out", "--sort", "bset")
    assert (result.code, "did you mean `best`?" in result.err) == (2, True)


def test_csv_has_a_column_for_each_value_of_a_trial(run: Any, runs: Path) -> None:
    head, *rows = run("runs", "--folder", "out", "--format", "csv").out.splitlines()
    assert head.endswith(",main.lr")
    values = [dict(zip(head.split(","), row.split(","), strict=True)) for row in rows]
    assert [each["main.lr"] for each in values] == ["", "0.1", "", ""]
    assert values[1]["best"] == values[1]["last"] == "2.0"
    assert int(values[0]["size_bytes"]) > 5000


def test_the_values_of_a_trial_stand_where_options_do(run: Any, runs: Path) -> None:
    [line] = [line for line in run("runs", "--folder", "out").out.splitlines() if line.startswith("b_")]
    assert line.endswith("main.lr=0.1")


def pruned(run: Any, *words: str) -> dict[str, Any]:
    result = run("runs", "prune", "--folder", "out", *words, "--format", "json")
    assert result.code == 0, result.err
    return {Path(each["folder"]).name[0]: each for each in json.loads(result.out)}


def test_nothing_is_removed_before_yes_is_said(run: Any, runs: Path) -> None:
    found = pruned(run, "--keep", "1")
    assert [name for name, each in found.items() if each["is_removed"]] == ["a", "c"]
    assert found["b"]["kept_by"] == ["best"]
    assert len(list(Path("out/runs").iterdir())) == 4
    pruned(run, "--keep", "1", "--yes")
    assert sorted(path.name[0] for path in Path("out/runs").iterdir()) == ["b", "d"]


def test_what_is_alive_linked_or_gone_on_from_stays(run: Any, runs: Path) -> None:
    own = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    process = {"host": socket.gethostname(), "pid": os.getpid(), "started": own}
    write_run("e_2026-01-05T00-00-00", state="running", process=process)
    write_run("f_2026-01-06T00-00-00", resumed_from=str(Path("out/runs/a_2026-01-01T00-00-00/checkpoint-2").absolute()))
    Path("out/model.bin").symlink_to("runs/c_2026-01-03T00-00-00/weights.bin")
    Path("out/trained_by.json").write_text(json.dumps({"run": "runs/d_2026-01-04T00-00-00"}))
    found = pruned(run, "--keep", "0", "--yes")
    kept = {name: each["kept_by"] for name, each in found.items() if not each["is_removed"]}
    assert kept == {
        "a": ["f_2026-01-06T00-00-00 went on from it"],
        "b": ["best"],
        "c": ["linked"],
        "d": ["the output folder's model"],
        "e": ["running"],
    }
    assert sorted(path.name[0] for path in Path("out/runs").iterdir()) == ["a", "b", "c", "d", "e"]


def test_age_and_state_narrow_each_other(run: Any, runs: Path) -> None:
    for path in Path("out/runs/c_2026-01-03T00-00-00").iterdir():
        os.utime(path, (time.time() - 10 * 86_400,) * 2)
    assert not any(each["is_removed"] for each in pruned(run, "--older-than", "11").values())
    assert [n for n, each in pruned(run, "--older-than", "9").items() if each["is_removed"]] == ["c"]
    assert [n for n, each in pruned(run, "--state", "failed").items() if each["is_removed"]] == ["c"]
    assert not any(each["is_removed"] for each in pruned(run, "--state", "killed", "--older-than", "9").values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say which runs to remove, or which to keep"),
        (("--keep", "-1"), "must not be negative"),
        (("--state", "dead"), "`--state dead` must be of finished, stopped, failed, killed"),
    ],
)
def test_a_prune_without_a_wish_is_refused(run: Any, runs: Path, words: tuple[str, ...], message: str) -> None:
    result = run("runs", "prune", "--folder", "out", *words)
    assert (result.code, message in result.err) == (2, True)
    assert len(list(Path("out/runs").iterdir())) == 4


def test_a_table_that_is_watched_follows_and_ends_with_ctrl_c(run: Any, runs: Path) -> None:
    with watching() as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        write_run("z_2026-02-01T00-00-00", eval_loss=1.0)
        assert first.startswith("RUN")
        assert any(line.startswith("z_") for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(timeout=30) == 0


def test_a_table_that_is_watched_ends_with_its_reader(run: Any, runs: Path) -> None:
    with watching() as process:
        assert process.stdout is not None and process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=30)


@contextmanager
def watching() -> Iterator["subprocess.Popen[str]"]:
    """A table that is printed anew all the time; it ends with the test, also with one that fails."""
    command = [sys.executable, "-m", "fgc", "runs", "--folder", "out", "--watch", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_best_of_a_resumed_run_is_what_its_later_records_say(run: Any) -> None:
    """Steps that were made again are other steps: `fgc runs`, `prune` and `fgc logs` leave out the first ones."""
    folder = write_run("a_2026-01-01T00-00-00")
    values = [(4, 1.0), (8, 3.0), (4, 2.0)]
    lines = [json.dumps({"global_step": step, "eval_loss": value}) + "\n" for step, value in values]
    (folder / "trainer_logs.json").write_text("".join(lines) + '{"global_step": 5, "eval_loss": NaN}\n')
    [found] = json.loads(run("runs", "--folder", "out", "--format", "json").out)
    [summary] = json.loads(run("logs", "summary", str(folder), "--format", "json").out)
    assert (found["best"]["value"], found["last"]) == (summary["best"], summary["last"]) == (2.0, 2.0)


def test_the_best_evaluation_of_a_long_log_is_found_wherever_it_stands(run: Any) -> None:
    folder = write_run("a_2026-01-01T00-00-00")
    records = ({"global_step": step, "eval_loss": 1.0 if step == 1 else 2.0, "x": "-" * 200_000} for step in range(99))
    (folder / "trainer_logs.json").write_text("".join(json.dumps(each) + "\n" for each in records))
    [found] = json.loads(run("runs", "--folder", "out", "--format", "json").out)
    assert found["best"]["value"] == 1.0
