"""`fgc tlist`, `trefs`, `meta`, `index`: the templates of a project and what draws on what."""

import json
import xml.dom.minidom
from pathlib import Path

import pytest

from .conftest import Run

FILES = {
    "forgather_workspace/x": "",
    "p/meta.yaml": "name: P\ndescription: Has | a bar\nsearchdir: [templates, more]\n",
    "p/more/lib/base.yaml": "-- block x\n-- endblock\n",
    "p/templates/middle.yaml": "-- extends 'lib/base.yaml'\n[x]\na: 1\n",
    "p/templates/part.yaml": "b: 1\n",
    "p/templates/configs/main.yaml": (
        "-- set parent = 'middle.yaml'\n-- extends parent\n[x]\n    == super()\n"
        "    -- include 'inner'\n\n    -- if false\n    -- include 'never.yaml'\n    -- endif\n"
        "#---- inner ----\n-- include 'part.yaml'\n"
    ),
}


@pytest.fixture(autouse=True)
def _project(run: Run) -> None:
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


def test_the_tree_of_templates_says_what_is_computed(run: Run) -> None:
    assert run("-p", "p", "tlist", "--own", "--format", "tree").out == (
        "part.yaml\n"
        "configs/main.yaml  (extends parent; includes inner, never.yaml)\n"
        "inner  (inline in main.yaml; includes part.yaml)\n"
        "lib/base.yaml\n"
        "└── middle.yaml\n"
    )


def test_templates_as_files_and_with_the_library(run: Run) -> None:
    assert run("-p", "p", "tlist", "--own").out.splitlines() == [
        "p/templates/middle.yaml",
        "p/templates/part.yaml",
        "p/templates/configs/main.yaml",
        "p/more/lib/base.yaml",
    ]
    assert "- `types/config_type.yaml`" in run("-p", "p", "tlist", "--format", "md").out


def test_templates_as_json(run: Run) -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("-p", "p", "tlist", "--format", "json").out)}
    assert entries["middle.yaml"]["extends"] == ["lib/base.yaml"]
    assert entries["configs/main.yaml"]["computed"] == ["extends parent"]


def test_templates_that_extend_each_other_and_broken_ones_are_listed(run: Run) -> None:
    Path("p/templates/a.yaml").write_text("-- extends 'b.yaml'\n")
    Path("p/templates/b.yaml").write_text("-- extends 'a.yaml'\n")
    Path("p/templates/c.yaml").write_text("-- extends 'nowhere.yaml'\n-- if\n")
    result = run("-p", "p", "tlist", "--own", "--format", "tree")
    assert "a.yaml\n└── b.yaml\n" in result.out
    assert "c.yaml  (extends nowhere.yaml, which does not exist)" in result.out


def test_references_are_those_that_happened_with_computed_names(run: Run) -> None:
    result = run("-p", "p", "trefs")
    assert result.code == 0, result.err
    assert result.out == (
        "configs/main.yaml\n"
        "├── extends middle.yaml\n"
        "│   └── extends lib/base.yaml\n"
        "└── includes inner  (inline in main.yaml)\n"
        "    └── includes part.yaml\n"
    )


def test_references_as_files_json_dot_and_svg(run: Run) -> None:
    assert run("-p", "p", "trefs", "--format", "files").out.split() == [
        "p/templates/configs/main.yaml",
        "p/templates/middle.yaml",
        "p/more/lib/base.yaml",
        "p/templates/part.yaml",
    ]
    references = json.loads(run("-p", "p", "trefs", "--format", "json").out)["references"]
    assert {"from": "configs/main.yaml", "kind": "extends", "to": "middle.yaml"} in references
    assert "t0 -> t1 [style=solid" in run("-p", "p", "trefs", "--format", "dot").out
    drawing = xml.dom.minidom.parseString(run("-p", "p", "trefs", "--format", "svg").out)
    assert len(drawing.getElementsByTagName("rect")) == 5


def test_meta_shows_the_search_path_in_order(run: Run) -> None:
    text = run("-p", "p", "meta").out
    assert text.index("p/templates") < text.index("p/more") < text.index("fgc_stdlib")
    described = json.loads(run("-p", "p", "meta", "--format", "json").out)
    assert described["workspace"] == str(Path.cwd()) and described["default_config"] == "main.yaml"


def test_the_overview_is_markdown(run: Run) -> None:
    text = run("-p", "p", "index").out
    assert text.startswith("# P\n\nHas | a bar\n")
    assert "| `main.yaml` (default) |" in text and "- `lib/base.yaml`\n  - `middle.yaml`" in text


@pytest.mark.parametrize("command", ["tlist", "meta", "index", "trefs"])
def test_without_a_project_the_exit_code_is_2(run: Run, command: str) -> None:
    result = run(command)
    assert result.code == 2 and "PROJECT" in result.err
