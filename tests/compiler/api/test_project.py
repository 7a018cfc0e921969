"""`fgc.Project`: a configuration and its objects from Python."""

import sys
import traceback
from pathlib import Path
from typing import Any, assert_type

import pytest
from fgc import Project, from_project
from fgc.api import ConfigurationError, ConstructionError
from fgc.ir import Graph

CONFIG = """\
shared: &shared !singleton:collections:OrderedDict { size: {{ size | default(1) }} }
pair: !singleton:builtins:list [ [ *shared, *shared ] ]
make: !partial:builtins:dict { width: !var width }
local: !singleton:parts/thing.py:Thing [ {{ project_dir | toyaml }} ]
broken: !singleton:builtins:int [ zz ]
meta: { config_name: Small }
main: [ *shared ]
"""
THING = """\
import os

class Thing:
    def __init__(self, where):
        self.places = (where, os.getcwd())
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "forgather_workspace/x": "",
        "p/meta.yaml": "name: P\nsystem_path: modules\n",
        "p/templates/configs/small.yaml": CONFIG,
        "p/parts/thing.py": THING,
        "alone.yaml": "main: 3\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_one_target_several_targets_and_a_mapping() -> None:
    proj = Project("small.yaml")
    assert proj() == [{"size": 1}]
    assert proj("shared") == {"size": 1}
    pair, shared = assert_type(proj("pair", "shared"), tuple[Any, ...])
    assert pair[0] is shared and pair[1] is shared
    assert list(assert_type(proj("pair", "shared", asdict=True), dict[str, Any])) == ["pair", "shared"]
    assert proj("shared", asdict=True) == {"shared": {"size": 1}}


def test_each_call_builds_a_new_set() -> None:
    proj = Project()
    assert proj("shared") is not proj("shared")


def test_what_a_project_tells_has_types() -> None:
    """The gate's mypy proves them; here they are true."""
    proj = Project("small.yaml")
    assert "shared" in assert_type(proj.targets, tuple[str, ...])
    assert isinstance(assert_type(proj.graph, Graph), Graph)
    assert assert_type(proj.folder, Path).is_absolute() and assert_type(proj.name, str) == "Small"
    assert isinstance(proj.pp_config, str) and isinstance(proj.code("shared"), str)
    assert assert_type(from_project("p", "small.yaml", ["shared"]), dict[str, Any]) == {"shared": {"size": 1}}
    assert from_project("p", targets=("shared",)) == {"shared": {"size": 1}}


def test_template_variables_and_variables_of_the_program_are_keywords() -> None:
    proj = Project("small", size=7)
    assert proj("shared") == {"size": 7}
    assert proj("make", width=3)() == {"width": 3}
    with pytest.raises(ConstructionError, match="did you mean `width`"):
        proj("make", widht=3)


def test_a_project_is_found_from_below_by_folder_and_by_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "p/templates")
    assert Project("small.yaml").name == "Small"
    assert Project(project_dir=folder / "p").folder == folder / "p"
    assert Project(folder / "alone.yaml")() == 3
    assert Project(folder / "p/templates/configs/small.yaml").folder == folder / "p"


def test_objects_are_constructed_in_the_folder_of_the_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    thing = Project(project_dir="p")("local")
    assert thing.places == (str(folder / "p"), str(folder / "p"))
    assert Path.cwd() == folder and str(folder / "p/modules") in sys.path


def test_two_projects_with_local_files_of_one_name_do_not_meet(folder: Path) -> None:
    other = folder / "other.yaml"
    other.write_text("main: !singleton:thing.py:Thing []\n")
    (folder / "thing.py").write_text("class Thing: is_other = True\n")
    first = Project()("local")
    assert Project(other)().is_other
    assert not hasattr(Project()("local"), "is_other") and type(first).__name__ == "Thing"


def test_an_exception_of_the_program_names_object_and_line() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        Project()("broken")
    text = "".join(traceback.format_exception(caught.value))
    assert "while constructing `broken`, written at templates/configs/small.yaml:5:9" in text
    assert 'int("zz")' in text, "the traceback shows the program's line"


def test_text_graph_targets_and_code() -> None:
    proj = Project()
    assert "size: 1" in proj.pp_config
    assert proj.targets == tuple(proj.graph.targets) and proj.targets[0] == "shared"
    assert "def construct(" in proj.code("pair") and "small.yaml" in repr(proj)
    assert proj.diagnostics == ()


def test_what_is_wrong_is_said_as_check_says_it(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean `shared`"):
        Project()("shraed")
    with pytest.raises(ConfigurationError, match=r"did you mean `small\.yaml`"):
        Project("smal.yaml")
    with pytest.raises(ConfigurationError, match="is not in a project"):
        Project(project_dir=folder)
    (folder / "alone.yaml").write_text("x: {{ nope }}\n")
    with pytest.raises(ConfigurationError, match=r"error\[FGC203\]") as caught:
        Project(folder / "alone.yaml")
    assert [found.code for found in caught.value.diagnostics] == ["FGC203"]


@pytest.mark.slow
def test_a_model_of_a_new_project_computes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fgc.cli.main import main

    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.chdir(folder)
    assert main(["ws", "project", "--name", "Tiny"]) == 0
    model_factory, tokenizer = Project(project_dir="tiny", max_bytes=60_000)("model", "tokenizer")
    model = model_factory()
    tokens = tokenizer("def main():", return_tensors="pt").input_ids
    assert model(input_ids=tokens).logits.shape == (1, tokens.shape[1], len(tokenizer))


def test_a_variable_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("main: !call:dict { a: !var self, b: !var targets }\n", encoding="utf-8")
    assert Project(tmp_path / "a.yaml")(self=1, targets=2) == {"a": 1, "b": 2}
