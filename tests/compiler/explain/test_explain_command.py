"""`fgc explain`: what is printed and the exit code."""

import json
from pathlib import Path

import pytest
from fgc.cli.main import main
from fgc.diagnostics import CODES

BASE = "-- block args\nt:\n    lr: 1\n-- endblock\n"
MAIN = "-- extends 'base.yaml'\n[args]\n    == super()\n    lr: {{ lr | default(2) }}\n"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "main.yaml").write_text(MAIN)
    monkeypatch.chdir(tmp_path)


def test_a_path_is_explained_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "main.yaml", "t.lr"]) == 0
    assert capsys.readouterr().out == (
        "t.lr = 2\n"
        " --> main.yaml:4:5\n"
        "  |\n"
        "4 |     lr: {{ lr | default(2) }}\n"
        "  |     ^^^^^^^^^^^^^^^^^^^^^^\n"
        "overrode, first to last:\n"
        "  1 at base.yaml:3:5\n"
        "fed by:\n"
        "  `lr` is not given: `default(2)` at main.yaml:4:17\n"
        "in block `args` of `main.yaml` at main.yaml:2:2\n"
        "  redefines block `args` of `base.yaml` at base.yaml:1:10\n"
        "  extends `base.yaml` at main.yaml:1:4\n"
    )


def test_a_variable_of_the_command_line_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "main.yaml", "t.lr", "-D", "lr=0.5"]) == 0
    assert "  `lr` = 0.5, given on the command line\n" in capsys.readouterr().out


def test_the_machine_form_has_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "main.yaml", "t.lr", "--format", "json"]) == 0
    form = json.loads(capsys.readouterr().out)
    assert (form["version"], form["path"], form["value"]) == (1, "t.lr", 2)
    assert (form["place"]["file"], form["place"]["line"], form["place"]["column"]) == ("main.yaml", 4, 5)
    assert [(item["value"], item["place"]["line"]) for item in form["overrides"]] == [(1, 3)]
    assert [(feed["name"], feed["how"]) for feed in form["fed_by"]] == [("lr", "default")]
    assert form["way"][0]["block"] == "args"


def test_an_unknown_path_cannot_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "main.yaml", "t.lrr"]) == 2
    assert capsys.readouterr().err == "fgc: main.yaml: `t` has no `lrr`; did you mean `lr`?\n"


def test_a_configuration_with_errors_is_explained_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "main.yaml").write_text("a: 1\nb: {{ nothing }}\n")
    assert main(["explain", "main.yaml", "a"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("a = 1\n")
    assert "FGC203" in captured.err


def test_a_finding_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "fgc204"]) == 0
    assert "FGC204" in capsys.readouterr().out


def test_an_unknown_finding_names_a_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "FGC2044"]) == 2
    assert "did you mean `FGC204`?" in capsys.readouterr().err


def test_without_arguments_all_findings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(CODES)


@pytest.mark.parametrize("argv", [["a", "b", "c"], ["missing.yaml", "t.lr"], ["t.lr"]])
def test_what_names_no_configuration_cannot_be_explained(argv: list[str]) -> None:
    assert main(["explain", *argv]) == 2


def test_a_project_is_asked_by_its_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "forgather_workspace").mkdir()
    (tmp_path / "meta.yaml").write_text("name: p\n")
    (tmp_path / "templates/configs").mkdir(parents=True)
    (tmp_path / "templates/configs/one.yaml").write_text("dir: {{ project_dir }}\n")
    assert main(["-t", "one", "explain", "dir"]) == 0
    out = capsys.readouterr().out
    assert " --> templates/configs/one.yaml:1:1\n" in out
    assert '  `project_dir` = "/' in out
    assert ", from the surroundings\n" in out


def test_an_object_of_another_project_is_explained_there_too(capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        "forgather_workspace/x": "",
        "a/meta.yaml": "name: A\n",
        "a/templates/configs/a.yaml": "t: !meta:fgc:from_project [../b, b.yaml, u]\n"
        "many: !meta:fgc:from_project {project_dir: ../b, targets: [u, w], variables: {size: 7}}\n",
        "b/meta.yaml": "name: B\n",
        "b/templates/configs/b.yaml": "u: !call:dict\n  size: 1\n  size: {{ size | default(2) }}\n"
        "w: !meta:fgc:from_project [../c, c.yaml]\n",
        "c/meta.yaml": "name: C\n",
        "c/templates/configs/c.yaml": "main: !call:dict {deep: 5}\n",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    assert main(["-p", "a", "explain", "t.size"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("t = what fgc:from_project(") and "taken from `u.size` of `b`, b.yaml:\n\nu.size = 2\n" in out
    assert "--> b/templates/configs/b.yaml:3:3" in out and "  1 at b/templates/configs/b.yaml:2:3" in out
    assert main(["-p", "a", "explain", "many.u.size"]) == 0
    assert "`size` = 7, given where it is taken" in capsys.readouterr().out
    assert main(["-p", "a", "explain", "many.w.deep", "--format", "json"]) == 0
    there = json.loads(capsys.readouterr().out)["taken_from"]
    assert (there["project"], there["configuration"], there["path"]) == ("b", "b.yaml", "w")
    assert (there["taken_from"]["path"], there["taken_from"]["value"]) == ("main.deep", 5)
    assert main(["-p", "a", "explain", "many.w.deeq"]) == 2
    assert "c: c.yaml: `main` has no `deeq`; did you mean `deep`?" in capsys.readouterr().err
    assert main(["-p", "a", "explain", "many.targets"]) == 0
    assert "taken from" not in capsys.readouterr().out
