"""The cache of answers is never stale."""

import os
from pathlib import Path

import pytest

from .conftest import Run


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_change_of_the_same_size_in_the_same_tick_is_seen(run: Run) -> None:
    write("a.yaml", "-- include 'b.yaml'\n")
    write("b.yaml", "x: 1\n")
    stat = Path("b.yaml").stat()
    assert run("pp", "a.yaml").out == "x: 1"
    write("b.yaml", "x: 2\n")
    os.utime("b.yaml", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert run("pp", "a.yaml").out == "x: 2"


def test_a_file_that_appears_earlier_on_the_search_path_is_seen(run: Run) -> None:
    write("late/b.yaml", "x: late\n")
    write("early/a.yaml", "-- include 'b.yaml'\n")
    line = ("pp", "a.yaml", "-I", "early", "-I", "late")
    assert run(*line).out == "x: late"
    write("early/b.yaml", "x: early\n")
    assert run(*line).out == "x: early"


def test_a_new_configuration_of_a_project_is_seen(run: Run, project: Path) -> None:
    assert "2 configurations" in run("check", "p").err
    write("p/templates/configs/deep/c.yaml", "a: 1\n")
    assert "3 configurations" in run("check", "p").err


def test_variables_belong_to_the_question(run: Run) -> None:
    write("a.yaml", "x: {{ v }}\n")
    assert run("pp", "a.yaml", "-D", "v=1").out == "x: 1"
    assert run("pp", "a.yaml", "-D", "v=2").out == "x: 2"


def test_what_asks_for_the_clock_is_not_kept(run: Run, tmp_path: Path) -> None:
    write("a.yaml", "x: {{ isotime() }}\n")
    run("pp", "a.yaml")
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_an_unchanged_answer_comes_without_the_compiler(run: Run, tmp_path: Path) -> None:
    write("a.yaml", "x: 1\n")
    first = run("pp", "a.yaml")
    (entry,) = (tmp_path / "cache").rglob("*.json")
    entry.write_text(entry.read_text().replace("x: 1", "x: from the cache"))
    assert (first.out, run("pp", "a.yaml").out) == ("x: 1", "x: from the cache")
    assert run("pp", "a.yaml", "--no-cache").out == "x: 1"


def test_a_broken_entry_counts_for_nothing(run: Run, tmp_path: Path) -> None:
    write("a.yaml", "x: 1\n")
    run("pp", "a.yaml")
    (entry,) = (tmp_path / "cache").rglob("*.json")
    entry.write_text("{")
    assert run("pp", "a.yaml").out == "x: 1"


def test_a_variable_of_the_environment_belongs_to_the_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.yaml", "-- if getenv('WORD') == 'b'\nx: {{ nothing }}\n-- endif\n")
    assert "FGC203" not in run("check", "a.yaml").err
    monkeypatch.setenv("WORD", "b")
    assert "FGC203" in run("check", "a.yaml").err
    monkeypatch.setenv("WORD", "c")
    assert "FGC203" not in run("check", "a.yaml").err


def test_the_value_of_a_variable_is_not_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "much-of-a-secret")
    write("a.yaml", "x: {{ getenv('TOKEN') }}\ny: {{ getenv('TOKEN') | length }}\nz: *{{ getenv('TOKEN') }}\n")
    for command in ("pp", "check", "graph", "targets"):
        run(command, "a.yaml")
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert not any(b"much-of-a-secret" in file.read_bytes() for file in kept)


def test_a_time_that_is_not_shown_is_no_reason_to_compute_again(run: Run, tmp_path: Path) -> None:
    write("a.yaml", "x: run-{{ isotime() }}\n")
    assert run("check", "a.yaml").code == 0
    assert list((tmp_path / "cache").rglob("*.json"))


def test_a_time_that_decides_something_is_asked_again(run: Run, tmp_path: Path) -> None:
    write("a.yaml", "x: {{ 1 if now().year > 2000 else 2 }}\n")
    run("check", "a.yaml")
    assert not list((tmp_path / "cache").rglob("*.json"))
