"""`fgc check --fix`: the exact replacements of help lines, applied once, in the user's own files only."""

import json
from pathlib import Path

from tests.compiler.cli.conftest import Run

FAULTY = """\
-- set betas = (0.9, 0.95)
betas: {{ betas }}
lr: 1e-3
layer: !lambda:builtins:dict []
languages: [ de, no ]
colour: #ff0000
"""
REPAIRED = """\
-- set betas = (0.9, 0.95)
betas: {{ betas | toyaml }}
lr: 1.0e-3
layer: !partial:builtins:dict []
languages: [ de, "no" ]
colour: "#ff0000"
"""


def test_exact_replacements_are_written_and_a_second_run_changes_nothing(run: Run) -> None:
    Path("a.yaml").write_text(FAULTY)
    first = run("check", "a.yaml", "--fix")
    assert (first.code, first.err) == (0, "5 findings in 1 file repaired\n")
    assert Path("a.yaml").read_text() == REPAIRED
    assert run("check", "a.yaml", "--fix").err == ""
    assert Path("a.yaml").read_text() == REPAIRED


def test_diff_shows_them_and_writes_nothing(run: Run) -> None:
    Path("a.yaml").write_text(FAULTY)
    result = run("check", "a.yaml", "--fix", "--diff")
    assert result.code == 1
    assert "-lr: 1e-3\n" in result.out
    assert "+lr: 1.0e-3\n" in result.out
    assert Path("a.yaml").read_text() == FAULTY
    assert run("check", "a.yaml", "--diff").code == 2


def test_line_ends_and_a_byte_order_mark_stay(run: Run) -> None:
    Path("a.yaml").write_bytes(("\ufeff" + FAULTY).replace("\n", "\r\n").encode())
    run("check", "a.yaml", "--fix")
    assert Path("a.yaml").read_bytes() == ("\ufeff" + REPAIRED).replace("\n", "\r\n").encode()


def test_what_is_left_is_told_and_decides_the_exit_code(run: Run) -> None:
    Path("a.yaml").write_text("lr: 1e-3\nmode: 010\n")
    result = run("check", "a.yaml", "--fix")
    assert result.code == 1
    assert "a.yaml:2:7" in result.err
    assert "a.yaml:1" not in result.err


def test_silenced_findings_and_files_of_libraries_stay(run: Run) -> None:
    for folder in ("project/templates/configs", "library", "forgather_workspace"):
        Path(folder).mkdir(parents=True)
    Path("project/meta.yaml").write_text("searchdir: [ templates, ../library ]\n")
    Path("library/base.yaml").write_text("main: !call:dict\n    lr: 1e-3\n")
    config = Path("project/templates/configs/a.yaml")
    config.write_text("-- include 'base.yaml'\n\nother: 1e-3 ## fgc: ignore[FGC310]\nlast: 1e-3\n")
    result = run("check", "project", "--fix")
    assert Path("library/base.yaml").read_text() == "main: !call:dict\n    lr: 1e-3\n"
    assert "1e-3 ## fgc" in config.read_text()
    assert "last: 1.0e-3" in config.read_text()
    assert "library/base.yaml:2:9" in result.err


def test_edits_of_one_place_are_applied_once(run: Run) -> None:
    Path("a.yaml").write_text("-- for k in ['a', 'b']\n{{ k }}: {{ [1e-5] }}\n-- endfor\n")
    assert run("check", "a.yaml", "--fix").code == 0
    assert "{{ [1e-5] | toyaml }}" in Path("a.yaml").read_text()


def test_other_tools_read_the_replacement_from_json(run: Run) -> None:
    Path("a.yaml").write_text("lr: 1e-3\nmode: 010\n")
    first, second = json.loads(run("check", "a.yaml", "--format", "json").out)["findings"]
    place = {"file": "a.yaml", "line": 1, "column": 5, "end_line": 1, "end_column": 9}
    assert first["fix"] == {**place, "text": "1.0e-3"}
    assert second["fix"] is None


def test_a_missing_blank_is_inserted(run: Run) -> None:
    Path("a.yaml").write_text("--if true\na:\n    lr:3\n    b: 1\n-- endif\n")
    run("check", "a.yaml", "--fix")
    assert Path("a.yaml").read_text() == "-- if true\na:\n    lr: 3\n    b: 1\n-- endif\n"
    assert run("check", "a.yaml").code == 0
