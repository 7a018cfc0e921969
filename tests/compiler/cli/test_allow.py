"""`[tool.fgc] allow`: what is not listed is a finding, however it is written and whatever else the branch says."""

from pathlib import Path

import pytest

from .conftest import Run

ALLOW = '[tool.fgc]\nallow = ["json.*", "logging.*", "fgc_runtime.*", "local/*.py:*", "builtins.range", "os.getcwd"]\n'


@pytest.mark.parametrize(
    "named",
    [
        "!call:os:system [ 'true' ]",
        "!partial:os:system [ 'true' ]",
        "!factory:subprocess:run [ 'true' ]",
        "!call:os.system [ 'true' ]",
        "!call:json.decoder:scanner.re.compile [ 'a' ]",
        "!call:logging:os.system [ 'true' ]",
        "!call:logging:sys.exit [ ]",
        "!call:logging.handlers:os.getcwdb [ ]",
        "!call:eval [ '1' ]",
        "!call:getattr [ 1, '__class__' ]",
        "!call:getattr [ 1, !call:str [ '__class__' ] ]",
        "!call:call [ !call:getattr [ 1, 'conjugate' ] ]",
        "!call:other/code.py:run [ ]",
        "[ 1, { a: !call:dict { b: !call:os:getpid [ ] } } ]",
    ],
)
def test_what_is_not_listed_is_refused_and_nothing_silences_it(run: Run, named: str) -> None:
    Path("pyproject.toml").write_text(ALLOW + '[tool.fgc.check]\nignore = ["FGC4"]\nseverity = { FGC418 = "off" }\n')
    for folder in ("local", "other"):
        Path(folder).mkdir()
        Path(folder, "code.py").write_text("def run():\n    pass\n")
    Path("m.yaml").write_text(f"## fgc: ignore[FGC418]\nmain: {named}  ## fgc: ignore[FGC418]\n")
    result = run("check", "m.yaml", "--ignore", "FGC418")
    assert result.code == 1 and "FGC418" in result.err, result


@pytest.mark.parametrize(
    "named",
    [
        "!call:json:loads [ '1' ]",
        "!call:getattr [ 1, 'real' ]",
        "!call:logging:getLogger [ ]",
        "!call:local/code.py:run [ ]",
        "!call:range [ 3 ]",
        "!call:os:getcwd [ ]",
        "!list [ 1 ]",
        "[ !tuple [ 1 ], !dict { a: 1 } ]",
    ],
)
def test_what_is_listed_passes(run: Run, named: str) -> None:
    Path("pyproject.toml").write_text(ALLOW)
    Path("local").mkdir()
    Path("local/code.py").write_text("def run():\n    pass\n")
    Path("m.yaml").write_text(f"main: {named}\n")
    assert run("check", "m.yaml").code == 0


def test_the_command_line_takes_the_place_of_the_branch(run: Run) -> None:
    Path("pyproject.toml").write_text('[tool.fgc]\nallow = ["*"]\n')
    Path("m.yaml").write_text("main: !call:os:getcwd [ ]\n")
    assert run("check", "m.yaml").code == 0
    assert "FGC418" in run("check", "m.yaml", "--allow", "torch.*").err


@pytest.mark.parametrize("value", ["3", '"torch.*"', "[3]", "{ a = 1 }"])
def test_a_list_that_is_none_is_said(run: Run, value: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.fgc]\nallow = {value}\n")
    Path("m.yaml").write_text("a: 1\n")
    result = run("check", "m.yaml")
    assert result.code == 2 and "`allow` must be a list" in result.err


def test_another_list_is_another_question_to_the_cache(run: Run, project: Path) -> None:
    (project / "templates/middle.yaml").write_text("main: !call:os:getcwd [ ]\n")
    assert run("check", "-p", "p", "--allow", "os.*").code == 0
    assert "FGC418" in run("check", "-p", "p", "--allow", "torch.*").err


def test_what_is_not_listed_is_refused_beside_an_error_that_is_silenced(run: Run, project: Path) -> None:
    (project / "templates/middle.yaml").write_text(
        "-- extends 'base.yaml'\n[optimzer]  ## fgc: ignore[FGC204]\nlr: 2\n"
    )
    (project / "templates/base.yaml").write_text("[optimizer]\nmain: !call:os:getcwd [ ]\n")
    assert run("check", "-p", "p").code == 0
    assert "FGC418" in run("check", "-p", "p", "--allow", "torch.*").err


def test_what_is_not_listed_is_refused_beside_an_option_of_the_configuration(run: Run, project: Path) -> None:
    (project / "templates/middle.yaml").write_text(
        "dynamic_args: { x: { type: int } }\nmain: !call:print [ '{{ x | default(1) }}' ]\n"
    )
    assert run("check", "-p", "p", "--allow", "builtins.print", "--x", "3").code == 0
    assert "FGC418" in run("check", "-p", "p", "--allow", "torch.*", "--x", "3").err
