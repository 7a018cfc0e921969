from pathlib import Path

import pytest
from fgc import ide

from tests.compiler.ide.test_navigation import BASE, LARGE, PROJECT, SMALL
from tests.compiler.ide.tree import FILES, make_tree, place


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
