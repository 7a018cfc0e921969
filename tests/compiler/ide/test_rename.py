from pathlib import Path

import pytest
from fgc import ide

from tests.compiler.ide.test_navigation import BASE, LARGE, PROJECT, SMALL
from tests.compiler.ide.tree import FILES, make_tree, place, shown


def renamed(folder: Path, editor: ide.Editor, file: str, marked: str, name: str) -> dict[str, str]:
    """Returns the texts of all files after a renaming."""
    result = ide.rename(editor, *place(editor, folder / file, marked), name)
    texts = {str(folder / file): text for file, text in FILES.items()}
    for path, edits in result.edits.items():
        for change in sorted(edits, key=lambda edit: -edit.span.start):
            texts[path] = texts[path][: change.span.start] + change.text + texts[path][change.span.end :]
    if result.moved is not None:
        texts[result.moved[1]] = texts.pop(result.moved[0])
    return {str(Path(path).relative_to(folder)): text for path, text in texts.items()}


def documents(folder: Path) -> list[str]:
    """Returns the texts that all configurations become."""
    editor = ide.Editor([folder])
    found = [editor.selected(path) for path in editor.families.configurations()]
    assert found and not any(selected is None or selected.has_errors for selected in found)
    return [selected.compilation.document.text for selected in found if selected is not None]


@pytest.mark.parametrize(
    ("file", "marked", "name", "words"),
    [
        (PROJECT, "[optimizer_a|rgs]", "more_args", {BASE: 2, PROJECT: 1, LARGE: 1}),
        (BASE, "&opti|mizer", "rule", {BASE: 2}),
        (SMALL, "ns.l|r", "rate", {BASE: 2, PROJECT: 1, SMALL: 1}),
        (SMALL, '"proj|ect.yaml', "middle.yaml", {SMALL: 1, LARGE: 1}),
    ],
)
def test_a_name_changes_everywhere_and_the_meaning_stays(
    tmp_path: Path, file: str, marked: str, name: str, words: dict[str, int]
) -> None:
    editor = make_tree(tmp_path)
    before = documents(tmp_path)
    texts = renamed(tmp_path, editor, file, marked, name)
    assert {path: text.count(name) for path, text in texts.items() if name in text} == words
    for path in FILES:
        (tmp_path / path).unlink()
    make_tree(tmp_path, texts)
    assert [
        text.replace("&rule", "&optimizer").replace("*rule", "*optimizer") for text in documents(tmp_path)
    ] == before


@pytest.mark.parametrize(
    ("marked", "name", "reason"),
    [
        ("[optimizer_a|rgs]", "two words", "cannot name a block"),
        ("[optimizer_a|rgs]", "globals", "there is a block `globals` already"),
        ('"base|.yaml', "other.yaml", "there is a file"),
        ("betas: [0.|9", "x", "there is no name here"),
    ],
)
def test_what_cannot_be_renamed_says_why(tmp_path: Path, marked: str, name: str, reason: str) -> None:
    editor = make_tree(tmp_path, {**FILES, "shared/other.yaml": "a: 1\n"})
    with pytest.raises(ide.CannotRename, match=reason):
        ide.rename(editor, *place(editor, tmp_path / PROJECT, marked), name)


def test_a_name_outside_of_the_workspace_is_refused(tmp_path: Path) -> None:
    make_tree(tmp_path)
    editor = ide.Editor([tmp_path / "project"])
    with pytest.raises(ide.CannotRename, match=r"base.yaml:8, outside of this workspace"):
        ide.rename(editor, *place(editor, tmp_path / PROJECT, "[optimizer_a|rgs]"), "more")


def test_a_computed_template_name_is_refused(tmp_path: Path) -> None:
    computed = FILES[SMALL].replace('"project.yaml"', '"pro" ~ "ject.yaml"')
    editor = make_tree(tmp_path, {**FILES, SMALL: computed})
    with pytest.raises(ide.CannotRename, match="computed"):
        ide.rename(editor, *place(editor, tmp_path / SMALL, "[glo|bals]"), "more")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (PROJECT, "project/templates/middle.yaml", {SMALL: '"middle.yaml"', LARGE: '"middle.yaml"'}),
        (PROJECT, "project/templates/parts/middle.yaml", {SMALL: '"parts/middle.yaml"', LARGE: '"parts/middle.yaml"'}),
        (BASE, "project/templates/root.yaml", {PROJECT: '"root.yaml"', "shared/unused.yaml": '"root.yaml"'}),
        ("shared/parts", "shared/pieces", {"shared/unused.yaml": "'pieces/one.yaml'"}),
        (SMALL, "project/templates/configs/tiny.yaml", {"project/meta.yaml": "default_config: tiny.yaml\n"}),
        (PROJECT, "elsewhere/middle.yaml", {}),
    ],
)
def test_a_file_or_folder_that_moves_is_named_by_its_new_name(
    tmp_path: Path, old: str, new: str, words: dict[str, str]
) -> None:
    """Templates that no configuration draws on follow too; what leaves the search path is left alone."""
    unused = "-- extends 'base.yaml'\n[globals]\n-- include 'parts/one.yaml'\n\n"
    editor = make_tree(tmp_path, {**FILES, "shared/unused.yaml": unused, "shared/parts/one.yaml": "a: 1\n"})
    texts = moved(editor, tmp_path, old, new)
    assert texts.keys() == words.keys()
    for path, part in words.items():
        assert part.replace("'", '"') in texts[path].replace("'", '"')


def moved(editor: ide.Editor, folder: Path, old: str, new: str) -> dict[str, str]:
    """Returns the texts of the files that change when a file or folder moves."""
    found = ide.follow(editor, [(str(folder / old), str(folder / new))]).edits
    texts = {path: editor.source(path).text for path in found}
    for path, edits in found.items():
        for change in sorted(edits, key=lambda edit: -edit.span.start):
            texts[path] = texts[path][: change.span.start] + change.text + texts[path][change.span.end :]
    return {str(Path(path).relative_to(folder)): text for path, text in texts.items()}


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("common/base.yaml", {"other/templates/configs/own.yaml": "-- extends 'common/base.yaml'\n"}),  # in both
        ("common/root.yaml", {"other/templates/configs/own.yaml": "-- extends 'common/root.yaml'\n",
                              "project/templates/configs/own.yaml": "-- extends 'root.yaml'\n"}),
        ("shared/new.yaml", {"other/templates/configs/own.yaml": "-- extends 'shared/new.yaml'\n",
                             "project/templates/configs/own.yaml": "-- extends 'new.yaml'\n"}),
        # in `project`, `taken.yaml` is another file
        ("project/templates/taken.yaml", {"other/templates/configs/own.yaml":
                                          "-- extends 'project/templates/taken.yaml'\n"}),
    ],
)  # fmt: skip
def test_each_project_gets_a_name_that_leads_to_the_moved_file_there(
    tmp_path: Path, new: str, words: dict[str, str]
) -> None:
    editor = make_tree(tmp_path, {
        "forgather_workspace/.keep": "", "shared/base.yaml": "a: 1\n", "common/.keep": "", "first/taken.yaml": "a: 2\n",
        "project/meta.yaml": "name: p\nsearchdir: [../first, templates, ../common, ../shared]\n",
        "other/meta.yaml": "name: o\nsearchdir: [templates, ../shared/.., ../shared]\n",
        "project/templates/configs/own.yaml": "-- extends 'base.yaml'\n",
        "other/templates/configs/own.yaml": "-- extends 'shared/base.yaml'\n",
    })  # fmt: skip
    assert moved(editor, tmp_path, "shared/base.yaml", new) == words
    if new == "shared/new.yaml":
        own = tmp_path / "project/templates/configs/own.yaml"
        renaming = ide.rename(editor, *place(editor, own, "'ba|se.yaml"), "new.yaml")
        found = {str(Path(path).relative_to(tmp_path)): edits for path, edits in renaming.edits.items()}
        assert {path: [edit.text for edit in edits] for path, edits in found.items()} == {
            path: [text.split("'")[1]] for path, text in words.items()
        }


def test_a_name_that_projects_share_is_one_that_all_of_them_find(tmp_path: Path) -> None:
    editor = make_tree(tmp_path, {
        "forgather_workspace/.keep": "", "shared/base.yaml": "a: 1\n", "shared/both.yaml": "-- include 'base.yaml'\n",
        "common/.keep": "",
        "project/meta.yaml": "name: p\nsearchdir: [templates, ../common, .., ../shared]\n",
        "other/meta.yaml": "name: o\nsearchdir: [templates, .., ../shared]\n",
        "project/templates/configs/own.yaml": "-- extends 'both.yaml'\n",
        "other/templates/configs/own.yaml": "-- extends 'both.yaml'\n",
    })  # fmt: skip
    assert moved(editor, tmp_path, "shared/base.yaml", "common/root.yaml") == {
        "shared/both.yaml": "-- include 'common/root.yaml'\n"
    }
    assert moved(editor, tmp_path, "project", "elsewhere") == {}


DESCRIBED = {
    "forgather_workspace/paths.yaml": "-- extends 'root.yaml'\n",
    "forgather_workspace/root.yaml": "-- block more\n-- endblock more\n",
    "shared/base.yaml": "a: 1\n",
    "code/own.py": "",
    "project/meta.yaml": """\
-- extends "paths.yaml"
[more]
name: p
searchdir: [templates, "../shared"]
config_prefix: 'configs'
default_config: one.yaml
system_path: ../code
""",
    "project/templates/configs/one.yaml": "-- extends 'base.yaml'\n",
}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("forgather_workspace/paths.yaml", "forgather_workspace/parts/paths.yaml",
         {"project/meta.yaml": '"parts/paths.yaml"'}),
        ("forgather_workspace/root.yaml", "forgather_workspace/top.yaml",
         {"forgather_workspace/paths.yaml": "'top.yaml'"}),
        ("shared", "common/parts", {"project/meta.yaml": 'searchdir: [templates, "../common/parts"]\n'}),
        ("project/templates", "project/mine", {"project/meta.yaml": "searchdir: [mine, "}),
        ("project/templates/configs", "project/templates/tries", {"project/meta.yaml": "config_prefix: 'tries'\n"}),
        ("code", "project/code", {"project/meta.yaml": "system_path: code\n"}),
        ("project", "projects/first", {"project/meta.yaml": 'searchdir: [templates, "../../shared"]\n'}),
        ("shared/base.yaml", "project/templates/base.yaml", {}),  # the name leads there too
    ],
)  # fmt: skip
def test_a_description_follows_what_it_names(tmp_path: Path, old: str, new: str, words: dict[str, str]) -> None:
    editor = make_tree(tmp_path, DESCRIBED)
    texts = moved(editor, tmp_path, old, new)
    assert texts.keys() == words.keys()
    for path, part in words.items():
        assert part in texts[path]
    assert ide.follow(editor, [(str(tmp_path / old), str(tmp_path / new))]).problems == ()


COMPUTED = DESCRIBED["project/meta.yaml"].replace('"../shared"', "\"{{ joinpath(project_dir, '../shared') }}\"")


@pytest.mark.parametrize(
    ("meta", "old", "new", "problem"),
    [
        (DESCRIBED["project/meta.yaml"], "shared/base.yaml", "elsewhere/base.yaml",
         "project/templates/configs/one.yaml:1: `base.yaml` is not found by project `p` at its new place"),
        (COMPUTED, "shared", "common", "shared by an expression: change it there"),
        ("-- extends 'paths.yaml'\n[more]\nname: p\n", "project/templates", "project/mine",
         "project/meta.yaml:1: project `p` does not find its configuration `one.yaml` any more"),
        ("-- extends 'paths.yaml'\n[more]\nname: p\n", "forgather_workspace/paths.yaml", "paths.yaml",
         "project/meta.yaml:1: `paths.yaml` is not found by project `p` at its new place"),
    ],
)  # fmt: skip
def test_names_that_cannot_follow_a_move_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meta: str, old: str, new: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    editor = make_tree(tmp_path, {**DESCRIBED, "project/meta.yaml": meta})
    found = ide.follow(editor, [(str(tmp_path / old), str(tmp_path / new))])
    assert [text for text in found.problems if problem in text], found.problems


def test_a_template_that_a_description_extends_is_renamed_by_its_name(tmp_path: Path) -> None:
    editor = make_tree(tmp_path, DESCRIBED)
    meta = tmp_path / "project/meta.yaml"
    assert shown(ide.definitions(editor, *place(editor, meta, "pa|ths.yaml")), tmp_path) == [
        "forgather_workspace/paths.yaml:1"
    ]
    found = ide.rename(editor, *place(editor, meta, "pa|ths.yaml"), "other.yaml")
    assert found.moved == tuple(str(tmp_path / "forgather_workspace" / name) for name in ("paths.yaml", "other.yaml"))
    assert [edit.text for edits in found.edits.values() for edit in edits] == ["other.yaml"]


def test_a_parameter_of_a_macro_is_refused(tmp_path: Path) -> None:
    text = "{%- macro title(name) %}{{ name }}{% endmacro %}\na: {{ title(name='b') }}\n"
    editor = make_tree(tmp_path, {**FILES, "shared/macros.yaml": text})
    with pytest.raises(ide.CannotRename, match="parameter of a macro"):
        ide.rename(editor, *place(editor, tmp_path / "shared/macros.yaml", "{{ na|me"), "word")
