"""`fgc query`: the editor's answers on a terminal."""

import json
from pathlib import Path

import pytest
from fgc.cli.main import main

from tests.compiler.ide.tree import make_tree

PROJECT = "project/templates/project.yaml"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hover", "shared/bse.yaml:1:1"], "did you mean `shared/base.yaml`"),
        (["hover", "shared"], "is a folder"),
        (["hover", PROJECT], "name a place"),
        (["hover", f"{PROJECT}:99:1"], "and no line 99"),
        (["hover", f"{PROJECT}:0:0"], "and no line 0"),
        (["hover", f"{PROJECT}:1:99"], "and no column 99"),
        (["hover", f"{PROJECT}:1:1", "--root", "nowhere"], "`nowhere` is not a folder"),
    ],
)
def test_places_that_do_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    make_tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["query", *words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and not shown.out


def test_answers_as_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["query", "definition", f"{PROJECT}:7:3", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found == {"path": "shared/base.yaml", "line": 8, "column": 14, "end_line": 8, "end_column": 28}
    assert main(["query", "overrides", f"{PROJECT}:7:3"]) == 0
    assert capsys.readouterr().out == "project/templates/configs/large.yaml:3:2\n"
    assert main(["query", "definition", f"{PROJECT}:6:1"]) == 1 and not capsys.readouterr().out
