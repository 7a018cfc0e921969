"""Completion, hovers, hints, lenses, actions: each on texts as they are while somebody types."""

from pathlib import Path

import pytest
from fgc import ide

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


def test_keywords_of_a_call_that_a_parent_opens(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    editor.whole(tmp_path / LARGE)  # as it was opened, before somebody types
    found = ide.complete(editor, *edit(editor, tmp_path / LARGE, FILES[LARGE] + "    |"))
    labels = {item.label: item for item in found}
    assert {"foreach", "maximize"} <= labels.keys() and "eps" not in labels
    assert labels["fused"].new_text == "fused: " and labels["fused"].detail == "fused: bool | None = None"


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
    ],
)
def test_hover(tmp_path: Path, file: str, marked: str, part: str) -> None:
    editor = make_tree(tmp_path)
    found = ide.hover(editor, *place(editor, tmp_path / file, marked))
    assert found is not None and part in found.markdown


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
    assert [lens.command for lens in ide.lenses(editor, str(tmp_path / SMALL))][:3] == ["build", "train", "pp"]


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
