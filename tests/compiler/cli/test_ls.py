"""`fgc ls`: what is listed, what a broken configuration does to the list, how it fits the terminal."""

import json
import os
from pathlib import Path

import pytest

from .conftest import Run

META = "meta: { config_name: %s, config_description: %s }\n"


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


@pytest.fixture
def two(run: Run) -> None:
    """A workspace with a project `p` of two configurations, and a project `deep/q` of one."""
    write("forgather_workspace/x", "")
    write("p/meta.yaml", "name: First\ndescription: The first one\ndefault_config: b.yaml\n")
    write("p/templates/configs/a.yaml", META % ("A", "does a"))
    write("p/templates/configs/b.yaml", META % ("B", "does b"))
    write("deep/q/meta.yaml", "name: Second\n")
    write("deep/q/templates/configs/inner/only.yaml", "x: 1\n")


@pytest.mark.usefixtures("two")
def test_a_project_is_listed_with_what_its_configurations_are(run: Run) -> None:
    result = run("ls", "p")
    assert result.code == 0
    assert result.out == "First: The first one\n  p\n    a.yaml  A: does a\n  * b.yaml  B: does b\n"


@pytest.mark.usefixtures("two")
def test_all_projects_below_a_folder_are_listed(run: Run) -> None:
    result = run("ls", "-r")
    assert result.out.index("Second") < result.out.index("First: The first one")
    assert "  * inner/only.yaml\n" in result.out
    assert run("ls", "-r", "deep").out.startswith("Second")


@pytest.mark.usefixtures("two")
def test_a_broken_configuration_is_listed_and_stops_no_other(run: Run) -> None:
    write("p/templates/configs/a.yaml", "x: {{ nope }}\n")
    result = run("ls", "-r", ".")
    assert result.code == 1
    assert "    a.yaml  PARSE ERROR `nope` is undefined (p/templates/configs/a.yaml:1:7)\n" in result.out
    assert "B: does b" in result.out and "Second" in result.out


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("beside", ["dynamic_args: [ --x ]\n", "[nothing]\n-- extends 'base.yaml'\n"])
def test_an_error_beside_the_graph_is_no_parse_error(run: Run, beside: str) -> None:
    write("p/templates/base.yaml", META % ("A", "does a"))
    write("p/templates/configs/a.yaml", beside + ("" if "extends" in beside else META % ("A", "does a")))
    result = run("ls", "p")
    assert result.code == 0 and "a.yaml  A: does a" in result.out
    assert run("check", "p").code == 1


@pytest.mark.usefixtures("two")
def test_a_project_that_cannot_be_read_is_listed_and_stops_no_other(run: Run) -> None:
    write("p/meta.yaml", "name: {{ nope }}\n")
    result = run("ls", "-r")
    assert result.code == 1
    assert "PARSE ERROR `nope` is undefined (p/meta.yaml:1:10)" in result.out and "Second" in result.out


@pytest.mark.usefixtures("two")
def test_json_has_every_field_and_the_place_of_an_error(run: Run) -> None:
    write("p/templates/configs/b.yaml", "x: {{ nope }}\n")
    (project,) = json.loads(run("ls", "p", "--format", "json").out)
    assert (project["name"], project["folder"], project["default_config"]) == ("First", "p", "b.yaml")
    first, second = project["configurations"]
    assert first == {
        "file": "a.yaml",
        "is_default": False,
        "config_name": "A",
        "config_description": "does a",
        "error": None,
    }
    assert (second["error"]["code"], second["error"]["line"], second["error"]["column"]) == ("FGC203", 1, 7)


@pytest.mark.usefixtures("two")
def test_a_change_is_seen(run: Run) -> None:
    run("ls", "-r")
    write("p/templates/configs/c.yaml", META % ("C", "is new"))
    write("new/meta.yaml", "name: Third\n")
    result = run("ls", "-r")
    assert "C: is new" in result.out and "Third" in result.out


@pytest.mark.usefixtures("two")
def test_lines_fit_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    write("p/templates/configs/a_long_name_of_a_file.yaml", META % ("Long", "words " * 30))
    lines = run("ls", "p").out.splitlines()
    assert max(map(len, lines)) <= 40
    assert "    a_long_name_of_a_file.yaml" in lines


def test_without_a_project_there_is_nothing_to_list(run: Run) -> None:
    assert run("ls").code == 2
    assert run("ls", "-r").code == 2
    assert "no project in `missing`" in run("ls", "missing").err


@pytest.mark.usefixtures("two")
def test_a_loop_of_links_ends(run: Run) -> None:
    Path("p/loop").symlink_to(Path.cwd())
    Path("p/self").symlink_to("self")
    Path("p/templates/configs/loop").symlink_to(Path("p").resolve())
    result = run("ls", "-r")
    assert (result.code, result.out.count("First")) == (0, 1)


@pytest.mark.usefixtures("two")
def test_a_folder_that_may_not_be_read_is_no_empty_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("p/templates/configs/secret").mkdir()
    scan = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", refuse)
    result = run("ls", "p", "--no-cache")
    assert result.code == 1 and "`p/templates/configs/secret` cannot be read" in result.out
    assert "B: does b" in result.out
