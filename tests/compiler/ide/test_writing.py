"""Completion, hovers, hints, lenses, actions: each on texts as they are while somebody types."""

import json
import re
from pathlib import Path

import pytest
from fgc import ide
from fgc.ide import words
from fgc.syntax import TAG_KINDS

from tests.compiler.ide.test_navigation import BASE, LARGE, PROJECT, SMALL
from tests.compiler.ide.tree import FILES, edit, make_tree, place

_HEAD = '-- extends "project.yaml"\n\n'


@pytest.mark.parametrize(
    ("text", "offered", "missing"),
    [
        ('-- extends "|', {"base.yaml", "project.yaml"}, set()),
        ("-- ex|", {"extends", "include"}, set()),
        (_HEAD + "[|", {"globals", "optimizer", "optimizer_args"}, set()),
        (_HEAD + "[globals]\n-- set ns.lr = 1\n\n[|", {"optimizer"}, {"globals"}),
        (_HEAD + "[globals]\n    -- set ns.|", {"lr"}, set()),
        (_HEAD + "x: {{ ns.lr | to|", {"toyaml", "trim"}, set()),
        (_HEAD + "x: {{ ns.lr is de|", {"defined"}, set()),
        (_HEAD + "x: *|", {"optimizer"}, set()),
        (_HEAD + "x: !pa|", {"!partial", "!call"}, set()),
        (_HEAD + "x: !partial:torch.op|", {"torch.optim"}, set()),
        (_HEAD + "x: !partial:torch.optim:Ad|", {"AdamW", "Adam"}, set()),
        (_HEAD + "x: !partial:torch.optim:AdamW\n    lr: 1\n    |", {"eps", "fused"}, {"lr"}),
        (_HEAD + "x: !partial:torch.optim:AdamW\n    amsgrad: |", {"true", "false"}, set()),
        (_HEAD + "x: !partial:torch.nn:CrossEntropyLoss\n    reduc|\n    label_smoothing: 0.1", {"reduction"}, set()),
    ],
)
def test_completion(tmp_path: Path, text: str, offered: set[str], missing: set[str]) -> None:
    editor = make_tree(tmp_path)
    found = {item.label for item in ide.complete(editor, *edit(editor, tmp_path / SMALL, text))}
    assert offered <= found and not missing & found


OPTIONS = {
    **FILES,
    "shared/options.yaml": """\
-- from "macros.yaml" import twice
[options]
dynamic_args: !dlist
    lr: { names: --lr, type: float }
[optimizer]
-- include "part"

part: {{ lr | default(1) }} {{ wd | default(2) }}
#---- part ----
-- extends "base.yaml"
[globals]
""",
    "shared/macros.yaml": "-- macro twice(value)\n{{ value * 2 }}\n-- endmacro\n-- set size = 3\n",
    "project/lib/things.py": """\
from enum import Enum
from typing import Literal, TypeAlias

class Color(Enum):
    RED = "red"

Kind: TypeAlias = Literal["no", "a, b", "1", "x]y", -1]

def paint(size: int, color: Color = Color.RED, mode: Literal["fast", "slow"] = "fast", *, deep: bool = False): ...
def choose(kind: "Kind | None" = "no", many: list[Literal["one"]] = []): ...
""",
    "project/meta.yaml": "name: demo\nsearchdir: [templates, ../shared]\nsystem_path: lib\n",
}
_OPTIONS = '-- extends "options.yaml"\n\n[options]\n'
_PAINT = "x: !call:things:paint"


@pytest.mark.parametrize(
    ("text", "offered", "missing"),
    [
        ("-- extends |", {"base.yaml"}, set()),
        ('-- from "macros.yaml" import |', {"twice", "size"}, {"base.yaml", "value"}),
        ("-- block a\n-- block b\n-- endblock b\n-- endblock |", {"a"}, {"b"}),
        ("-- if x\n-- for y in z\n-- end|", {"endfor"}, set()),
        ("-- for y in z\nx: {{ loop.|", {"index", "first"}, set()),
        (_HEAD + "[globals]\n    == |", {"super()", "ns", "namespace", "project_dir"}, set()),
        (_HEAD + "[optimizer_args]\n    |", {"eps"}, set()),
        (_HEAD + "[optimizer_args]\n    == super()\n    |", {"eps", "foreach"}, set()),
        (_PAINT + "\n    |", {"size", "deep"}, set()),
        (_PAINT + " { size: 1, |", {"color"}, {"size"}),
        ("x: &paint !call:things:paint { size: 1, |", {"color"}, {"size"}),
        ("x: !call:things:paint &paint { size: 1, |", {"color"}, {"size"}),
        ("x: !call:things:paint &paint\n    |", {"size"}, set()),
        (_PAINT + " { mode: |", {"fast", "slow"}, set()),
        (_PAINT + '\n    mode: "|', {"fast", "slow"}, set()),
        (_PAINT + "\n    color: |", {"red", "RED"}, set()),
        ("x: !call:things:choose { kind: |", {"'no'", "'a, b'", "'1'", "'x]y'", "-1", "null"}, {"no", "a"}),
        ("x: !call:things:choose { many: |", set(), {"one"}),
        ("x:\n- !call:things:paint\n  size: 1\n  |", {"deep"}, {"size"}),
        ("x: !call:thi|", {"things"}, {"thi"}),
        ("x: !call:tor|", {"torch"}, {"tor"}),
        ("x: !call:.atten|", {".attention"}, set()),
        ("x: 3 # !|", set(), {"!call"}),
        ('x: "a !|', set(), {"!call"}),
        (_OPTIONS + "    == super()\n    |", {"wd"}, {"names"}),
        (_OPTIONS + "    == super()\n    wd:\n        |", {"names", "type"}, {"wd"}),
        (_OPTIONS + "    == super()\n    wd:\n        names: |", {'"--wd"'}, set()),
        (_OPTIONS + "    == super()\n    wd: { names: --wd, |", {"type", "help"}, {"names"}),
        (_OPTIONS + "    == super()\n    wd: { type: |", {"float", "path"}, set()),
        ("dynamic_args:\n- names: --wd\n  |", {"action", "nargs"}, {"names"}),
        ("dynamic_args:\n- names: --wd\n  action: |", {"store_true"}, set()),
    ],
)
def test_completion_over_templates_modules_and_options(
    options: ide.Editor, text: str, offered: set[str], missing: set[str]
) -> None:
    small = options.folders[0] / SMALL
    found = {item.label for item in ide.complete(options, *edit(options, small, text))}
    assert offered <= found and not missing & found


@pytest.mark.parametrize(
    ("text", "offered"),
    [("se|", {"searchdir", "system_path"}), ("default_config: |", {"large.yaml"}), ("searchdir: |", {"templates"})],
)
def test_completion_in_a_description_of_a_project(options: ide.Editor, text: str, offered: set[str]) -> None:
    meta = options.folders[0] / "project/meta.yaml"
    found = {item.label for item in ide.complete(options, *edit(options, meta, text))}
    options.close(meta)
    assert offered <= found


def test_completion_of_a_block_shows_what_it_holds(options: ide.Editor) -> None:
    found = ide.complete(options, *edit(options, options.folders[0] / SMALL, _HEAD + "[optimizer_|"))
    (item,) = [item for item in found if item.label == "optimizer_args"]
    assert "betas: [0.9, 0.95]" in item.shows and item.detail == "overrides project.yaml:7"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> ide.Editor:
    """Returns an editor over templates that declare options, with modules of their own."""
    return make_tree(tmp_path_factory.mktemp("options"), OPTIONS)


def test_keywords_of_a_call_that_a_parent_opens(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    editor.whole(tmp_path / LARGE)  # as it was opened, before somebody types
    found = ide.complete(editor, *edit(editor, tmp_path / LARGE, FILES[LARGE] + "    |"))
    labels = {item.label: item for item in found}
    assert {"foreach", "maximize"} <= labels.keys() and "eps" not in labels
    assert labels["fused"].new_text == "fused: "
    assert labels["fused"].detail in ("fused: bool | None = None", "fused: Optional[bool] = None")  # as torch writes it


@pytest.mark.parametrize(
    ("file", "marked", "part"),
    [
        (BASE, "torch.optim:Ad|amW", "weight_decay: float = 0.01"),
        (BASE, "{{ ns.l|r", "`0.3` in "),
        (PROJECT, "[optimizer_a|rgs]", "overrides the one in "),
        (BASE, "block optimizer_a|rgs", "overridden in "),
        (SMALL, "sup|er()", "prints the block `globals` in "),
        (SMALL, '"proj|ect.yaml', "extends `"),
        (LARGE, "e|ps", "`optimizer.eps` = 1e-06"),
        (BASE, "*opti|mizer", "`optimizer` is set in "),
        (BASE, "-- se|t ns.lr", "`set`: sets a variable"),
        (BASE, "ns.lr = 0|.1", "`ns.lr` is set in "),
        (BASE, "endblock optimizer_a|rgs", "overridden in "),
        (BASE, "!par|tial", "`!partial`: a callable with arguments bound"),
        (BASE, "|&optimizer", "`optimizer` is set in "),
        (PROJECT, "|[optimizer_args]", "overrides the one in "),
        (SMALL, "super(|)", "prints the block `globals` in "),
        (BASE, "name|space()", "namespace(name=value, ...)"),
    ],
)
def test_hover(tmp_path: Path, file: str, marked: str, part: str) -> None:
    editor = make_tree(tmp_path)
    found = ide.hover(editor, *place(editor, tmp_path / file, marked))
    assert found is not None and part in found.markdown


@pytest.mark.parametrize(
    ("marked", "part"),
    [
        ("x: {{ lr | defa|ult(1) }}", "default(default_value='', boolean=False)"),
        ("-- if lr is de|fined\n-- endif", "defined: Return true"),
        ("x: {{ l|r }}", "no template sets it"),
        ("x: !call:no_such_package_here:th|ing", "`no_such_package_here` is not installed"),
        ("x: !call:.attention:Atten|tion", "Attention("),
        ("-- if x\n-- els|e\n-- endif", "`else`: keeps"),
        ("# a commen|t", None),
    ],
)
def test_hover_over_words_that_no_template_defines(tmp_path: Path, marked: str, part: str | None) -> None:
    editor = make_tree(tmp_path, {"alone.yaml": ""})
    found = ide.hover(editor, *edit(editor, tmp_path / "alone.yaml", marked))
    assert (found is None) if part is None else (found is not None and part in found.markdown)


def test_a_template_says_who_draws_on_it(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    found = ide.hover(editor, *place(editor, tmp_path / SMALL, '"proj|ect.yaml'))
    assert found is not None and found.markdown.count("small.yaml:1") == found.markdown.count("large.yaml:1") == 1


def test_on_saving_one_fix_is_all_fixes(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    path, offset = edit(editor, tmp_path / SMALL, FILES[SMALL] + "x: !partial:torch.nn.Si|LU []\n")
    findings = editor.findings(path)[path]
    asked = [ide.actions(findings, path, offset, offset, fixes_one=fixes_one) for fixes_one in (False, True)]
    assert [[action.title for action in found if action.finding is None] for found in asked] == [
        [],
        ["Fix all of this file that has an exact fix (1)"],
    ]


def test_a_hover_shows_each_configuration_with_its_value(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    found = ide.hover(editor, *place(editor, tmp_path / BASE, "{{ ns.l|r"))
    assert found is not None
    assert [line for line in found.markdown.split("\n") if line.startswith("`0.")] == [
        f"`0.2` in {tmp_path / LARGE}",
        f"`0.3` in {tmp_path / SMALL}",
    ]


def test_a_hint_shows_what_a_print_becomes_in_the_open_configuration(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    editor.open(tmp_path / SMALL, FILES[SMALL])
    (hint,) = ide.hints(editor, str(tmp_path / BASE), 0, 1_000)
    assert hint.label == "= 0.3" and FILES[BASE][: hint.offset].endswith("{{ ns.lr }}")


def test_lenses(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    assert [lens.title for lens in ide.lenses(editor, str(tmp_path / PROJECT))] == [
        "overrides base.yaml:3",
        "1 override",
        "overrides base.yaml:8",
        "1 override",
    ]
    commands = [lens.command for lens in ide.lenses(editor, str(tmp_path / SMALL))]
    assert commands[:4] == ["build", "train", "pp", "explain"]


def test_actions_fix_silence_and_explain(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    path, offset = edit(editor, tmp_path / SMALL, _HEAD + "[globls|]\n    == super()\n")
    (finding,) = editor.findings(path)[path]
    found = ide.actions([finding], path, offset, offset)
    assert [action.title.partition(":")[0] for action in found][-2:] == ["Silence FGC204 here", "Explain FGC204"]
    text = editor.source(path).text
    (change,) = next(action for action in found if action.title.startswith("Silence")).edits
    editor.open(Path(path), text[: change.span.start] + change.text + text[change.span.end :])
    assert path not in editor.findings(path)


def test_findings_in_a_parent_are_told_where_they_are(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    editor.open(tmp_path / SMALL, FILES[SMALL])
    assert editor.findings(tmp_path / SMALL) == {}
    edit(editor, tmp_path / BASE, FILES[BASE].replace("torch.optim:AdamW", "torch.optim:AdmaW|"))
    for file in (SMALL, BASE):
        found = editor.findings(tmp_path / file)
        assert [*found] == [str(tmp_path / BASE)] and [f.code for f in found[str(tmp_path / BASE)]] == ["FGC504"]


def test_a_template_that_no_configuration_uses_is_only_read(tmp_path: Path) -> None:
    editor = make_tree(tmp_path, {**FILES, "shared/part.yaml": "x: {{ given_by_others }}\n-- iff\n"})
    found = editor.findings(tmp_path / "shared/part.yaml")
    assert [finding.code for finding in found[str(tmp_path / "shared/part.yaml")]] == ["FGC102"]


def test_a_file_of_no_project_is_checked_by_itself(tmp_path: Path) -> None:
    editor = make_tree(tmp_path, {"alone.yaml": "a: !partial:torch.optim:AdamWW []\n"})
    assert [f.code for f in editor.findings(tmp_path / "alone.yaml")[str(tmp_path / "alone.yaml")]] == ["FGC504"]


def test_a_broken_meta_file_is_told_and_stops_nothing(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    meta = tmp_path / "project/meta.yaml"
    edit(editor, meta, "name: demo\nsearchdr: templates|\n")
    assert [finding.code for finding in editor.findings(meta)[str(meta)]] == ["FGC005"]
    assert ide.hover(editor, *place(editor, tmp_path / BASE, "torch.optim:Ad|amW"))


def test_views_name_the_lines_that_they_come_from(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    text = ide.viewed(editor, str(tmp_path / SMALL), "text")
    number = text.text.split("\n").index("    betas: [0.9, 0.95]") + 1
    line = next(line for line in text.lines if line.line == number)
    assert (line.path, line.source_line) == (str(tmp_path / PROJECT), 9)
    assert "partial torch.optim:AdamW" in ide.viewed(editor, str(tmp_path / SMALL), "graph").text
    program = ide.viewed(editor, str(tmp_path / SMALL), "program")
    assert "AdamW" in program.text and program.lines and program.problem is None


def test_two_workspaces_are_one_editor_and_a_folder_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    make_tree(tmp_path / "one")
    make_tree(tmp_path / "two")
    (tmp_path / "closed").mkdir(mode=0o000)
    editor = ide.Editor([tmp_path / "one", tmp_path / "two", tmp_path / "closed"])
    assert len(editor.families.configurations()) == 4
    found = ide.definitions(editor, *place(editor, tmp_path / "two" / SMALL, "[glo|bals]"))
    assert [ide.file_of(span) for span in found] == [str(tmp_path / "two" / PROJECT)]
    (tmp_path / "closed").chmod(0o700)


def test_a_hint_names_the_parameter_of_an_argument_by_position(tmp_path: Path) -> None:
    text = "layer: !call:torch.nn:Linear [ 3, 4 ]\nmany: !call:builtins:print [ 1 ]\n"
    editor = make_tree(tmp_path, {"alone.yaml": text})
    found = [*ide.hints(editor, str(tmp_path / "alone.yaml"), 0, len(text))]
    assert [(hint.label, text[hint.offset]) for hint in found] == [("in_features:", "3"), ("out_features:", "4")]
    assert all(hint.is_before for hint in found)


def test_every_tag_and_every_name_that_templates_see_is_told_of() -> None:
    assert words.TAG_TEXTS.keys() == {*TAG_KINDS}
    texts = words.global_texts()
    assert {name for name, text in texts.items() if text == name} == set()
    assert texts["getcwd"] == "getcwd(): the working folder"
    colours = json.loads((Path(__file__).parents[3] / "editors/vscode/syntaxes/fgc.tmLanguage.json").read_text())
    shown = re.search(r"!\(\?:(singleton[a-z|]+)\)", json.dumps(colours))
    assert shown is not None and {*shown[1].split("|")} == {*TAG_KINDS}
