"""`build` builds what `check` passes: settings and comments count for every command that makes a program."""

import os
from pathlib import Path

import pytest
from fgc import Project

from .conftest import Run

WRONG = "main: !call:shutil:which { cmd: a, nope: 2 }\n"
COMMENT = "main: !call:shutil:which { cmd: a, nope: 2 } ## fgc: ignore[FGC501]\n"
SETTINGS = {
    "ignore": "[tool.fgc.check]\nignore = ['FGC501']\n",
    "off": "[tool.fgc.check.severity]\nFGC501 = 'off'\n",
    "warning": "[tool.fgc.check.severity]\nFGC501 = 'warning'\n",
    "select": "[tool.fgc.check]\nselect = ['FGC3']\n",
}
COMMANDS = (["check", "--fail-on", "error"], ["build", "-o", "out"], ["code"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_an_error_stops_every_command(run: Run, command: list[str]) -> None:
    Path("m.yaml").write_text(WRONG)
    result = run(command[0], "m.yaml", *command[1:])
    assert result.code == 1 and "FGC501" in result.out + result.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_a_comment_silences_it_for_every_command(run: Run, command: list[str]) -> None:
    Path("m.yaml").write_text(COMMENT)
    result = run(command[0], "m.yaml", *command[1:])
    assert result.code == 0 and "FGC501" not in result.out + result.err


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_settings_count_for_every_command(run: Run, command: list[str], settings: str) -> None:
    Path("m.yaml").write_text(WRONG)
    Path("pyproject.toml").write_text(SETTINGS[settings])
    result = run(command[0], "m.yaml", *command[1:])
    assert result.code == 0 and ("FGC501" in result.out + result.err) is (settings == "warning")


def test_a_baseline_counts_for_a_build(run: Run) -> None:
    Path("m.yaml").write_text(WRONG)
    Path("pyproject.toml").write_text("[tool.fgc.check]\nbaseline = 'known.json'\n")
    assert run("check", "m.yaml", "--write-baseline", "known.json").code == 0
    assert (run("check", "m.yaml").code, run("build", "m.yaml").code) == (0, 0)


def test_a_warning_that_is_an_error_here_stops_a_build(run: Run) -> None:
    Path("m.yaml").write_text("a: 010\nmain: !call:dict { x: 1 }\n")
    assert run("build", "m.yaml").code == 0
    Path("pyproject.toml").write_text("[tool.fgc.check.severity]\nFGC310 = 'error'\n")
    assert (run("check", "m.yaml").code, run("build", "m.yaml").code) == (1, 1)


def test_a_wrong_setting_is_told_by_a_build(run: Run) -> None:
    Path("m.yaml").write_text("main: !call:dict { x: 1 }\n")
    Path("pyproject.toml").write_text("[tool.fgc.check]\nignor = []\n")
    result = run("build", "m.yaml")
    assert result.code == 2 and "has no `ignor`" in result.err


def test_a_part_that_could_not_be_made_is_never_built_in_silence(run: Run) -> None:
    Path("m.yaml").write_text("main: !call:dict { x: {{ y }} } ## fgc: ignore[FGC203]\n")
    result = run("build", "m.yaml")
    assert result.code == 1 and "m.yaml:1:26" in result.err and "silenced" in result.err


def test_a_comment_counts_for_python(run: Run) -> None:
    Path("m.yaml").write_text(COMMENT)
    assert Project("m.yaml").targets == ("main",)


def test_a_printed_text_does_not_call_comments_useless(run: Run) -> None:
    Path("m.yaml").write_text(COMMENT)
    assert "FGC701" not in run("pp", "m.yaml").err
    assert os.listdir() == ["m.yaml"]  # noqa: PTH208
