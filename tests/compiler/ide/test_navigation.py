from pathlib import Path

import pytest
from fgc import ide

from tests.compiler.ide.tree import FILES, edit, make_tree, place, shown

SMALL, LARGE = "project/templates/configs/small.yaml", "project/templates/configs/large.yaml"
PROJECT, BASE = "project/templates/project.yaml", "shared/base.yaml"


@pytest.mark.parametrize(
    ("file", "marked", "found"),
    [
        (SMALL, 'extends "proj|ect.yaml', [f"{PROJECT}:1"]),
        (SMALL, "[glo|bals]", [f"{PROJECT}:3"]),
        (LARGE, "[optimizer_a|rgs]", [f"{PROJECT}:7"]),
        (PROJECT, "[optimizer_a|rgs]", [f"{BASE}:8"]),
        (BASE, "block optimi|zer\n", [f"{BASE}:5"]),
        (SMALL, "== sup|er()", [f"{PROJECT}:3"]),
        (BASE, "*opti|mizer", [f"{BASE}:6"]),
        (BASE, "{{ ns.l|r", [f"{SMALL}:5", f"{PROJECT}:5", f"{BASE}:2"]),
        (SMALL, "[globals|]", [f"{PROJECT}:3"]),
        (SMALL, "= 0.|3", []),
        (BASE, "endblock optimizer_a|rgs", [f"{BASE}:8"]),
    ],
)
def test_a_name_leads_to_its_definition(tmp_path: Path, file: str, marked: str, found: list[str]) -> None:
    editor = make_tree(tmp_path)
    assert shown(ide.definitions(editor, *place(editor, tmp_path / file, marked)), tmp_path) == found


def test_a_callable_leads_into_its_python_file(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    (span,) = ide.definitions(editor, *place(editor, tmp_path / BASE, "torch.optim:Ada|mW"))
    assert span.text == "AdamW" and span.source.display_name.endswith("torch/optim/adamw.py")
    assert span.source.line(span.first.line).startswith("class AdamW")


def test_a_component_and_a_module_of_the_project_lead_into_their_files(tmp_path: Path) -> None:
    meta = "name: demo\nsearchdir: [templates, ../shared]\nsystem_path: lib\n"
    files = {**FILES, "project/meta.yaml": meta, "project/lib/things.py": "def paint(size): ...\n"}
    editor = make_tree(tmp_path, files)
    edit(editor, tmp_path / SMALL, "a: !call:.attention:Attention\nb: !call:things:paint\n|")
    for marked, file in ((".attention:Atten|tion", "fgc_models/attention.py"), ("things:pa|int", "lib/things.py")):
        (span,) = ide.definitions(editor, *place(editor, tmp_path / SMALL, marked))
        assert span.source.display_name.endswith(file) and span.text == marked.partition(":")[2].replace("|", "")


def test_a_variable_that_an_option_sets_leads_to_the_option(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    text = "dynamic_args:\n    rate: { names: --rate, type: float }\nx: {{ rate | default(1) }}\n|"
    edit(editor, tmp_path / SMALL, text)
    (span,) = ide.definitions(editor, *place(editor, tmp_path / SMALL, "{{ ra|te"))
    assert span.first.line == 2


def test_the_block_of_a_grandparent_is_mentioned_by_super_super(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    edit(editor, tmp_path / SMALL, '-- extends "project.yaml"\n[optimizer_args]\n    == super.super()\n|')
    assert ide.definitions(editor, *place(editor, tmp_path / SMALL, "sup|er.super()"))


def test_references_of_a_block_are_those_that_override_one_another(tmp_path: Path) -> None:
    files = {**FILES, "shared/other.yaml": "-- block optimizer_args\nx: 1\n-- endblock\n"}
    editor = make_tree(tmp_path, files)
    found = ide.references(editor, *place(editor, tmp_path / PROJECT, "[optimizer_a|rgs]"))
    assert shown([mark.span for mark in found], tmp_path) == [f"{LARGE}:3", f"{PROJECT}:7", f"{BASE}:8"]


def test_overrides_of_a_block_stand_in_the_templates_below(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    below = ide.implementations(editor, *place(editor, tmp_path / BASE, "block glo|bals"))
    assert shown(below, tmp_path) == [f"{SMALL}:3", f"{PROJECT}:3"]


def test_an_unsaved_text_counts_at_once_and_goes_when_it_is_closed(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    path = tmp_path / SMALL
    edit(editor, path, '-- extends "base.yaml"\n\n[globals]\n    == super()\n|')
    assert shown(ide.definitions(editor, *place(editor, path, "[glo|bals]")), tmp_path) == [f"{BASE}:3"]
    editor.close(path)
    assert shown(ide.definitions(editor, *place(editor, path, "[glo|bals]")), tmp_path) == [f"{PROJECT}:3"]


def test_inline_templates_are_found_by_name(tmp_path: Path) -> None:
    text = '-- extends "project.yaml"\n[globals]\n    -- include "demo.extra"\n#---- demo.extra ----\n== 1\n'
    text = text.replace("#---- demo.extra ----", "#-------------------- demo.extra --------------------")
    editor = make_tree(tmp_path, {**FILES, SMALL: text})
    assert shown(ide.definitions(editor, *place(editor, tmp_path / SMALL, 'include "de|mo')), tmp_path) == [
        f"{SMALL}:4"
    ]


def test_circles_of_extends_end(tmp_path: Path) -> None:
    files = {"a.yaml": '-- extends "b.yaml"\n[x]\n', "b.yaml": '-- extends "a.yaml"\n[x]\n'}
    editor = make_tree(tmp_path, files)
    assert shown(ide.definitions(editor, *place(editor, tmp_path / "a.yaml", "[|x]")), tmp_path) == ["b.yaml:2"]
    assert editor.findings(tmp_path / "a.yaml")


def test_configurations_that_were_asked_for_long_ago_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fgc.ide.editor._MAX_COMPILED", 2)
    many = {f"project/templates/configs/c{number}.yaml": f"x: {number}\n" for number in range(4)}
    editor = make_tree(tmp_path, {**FILES, **many})
    paths = [tmp_path / name for name in many]
    found = [editor.whole(path) for path in (*paths, paths[2])]
    assert found[4] is found[2] and editor.whole(paths[0]) is not found[0]
    assert all(one is not None and not one.has_errors for one in found)


def test_an_edit_of_a_library_reads_no_description_again(tmp_path: Path) -> None:
    """A project depends on the existence of a library's root, not on its content."""
    editor = make_tree(tmp_path, {**FILES, "shared/config_type.yaml": "a: 1\n"})
    before = editor.families.projects()
    editor.open(tmp_path / "shared/config_type.yaml", "a: 2\n")
    assert editor.families.projects() is before
    (tmp_path / "shared/config_type.yaml").unlink()
    editor.refresh()
    assert editor.families.projects()[0].library is not None


def test_findings_of_a_configuration_open_its_own_project_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = make_tree(tmp_path, {**FILES, "other/meta.yaml": "name: other\n"})

    def refused() -> None:
        raise AssertionError("all projects of a large tree take half a second")

    monkeypatch.setattr(editor.families, "projects", refused)
    editor.open(tmp_path / SMALL, FILES[SMALL])
    assert editor.findings(tmp_path / SMALL) == {}


def test_what_is_read_ahead_is_the_same(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    assert len([*editor.families.prepare()]) == 3  # a project and two configurations
    assert editor.families.users(str(tmp_path / BASE)) == [str(tmp_path / LARGE), str(tmp_path / SMALL)]


def test_a_shared_template_that_nobody_draws_on_finds_what_its_projects_find(tmp_path: Path) -> None:
    editor = make_tree(tmp_path, {**FILES, "shared/parts/new.yaml": "-- extends 'base.yaml'\n"})
    path = tmp_path / "shared/parts/new.yaml"
    assert shown(ide.definitions(editor, *place(editor, path, "ba|se.yaml")), tmp_path) == [f"{BASE}:1"]


def test_an_option_that_several_configurations_have_is_shown_once(tmp_path: Path) -> None:
    base = FILES[BASE].replace("lr: {{ ns.lr }}", "lr: {{ rate | default(1) }}")
    base += "dynamic_args:\n    rate: { type: float, help: how fast }\n"
    editor = make_tree(tmp_path, {**FILES, BASE: base})
    found = ide.definitions(editor, *place(editor, tmp_path / BASE, "{{ ra|te"))
    assert [span.text.startswith("rate") or "type" in span.text for span in found] == [True], found
