"""A small workspace with inheritance for the tests of the editor's answers; `|` marks a place in a text."""

from pathlib import Path

from fgc import ide

FILES = {
    "forgather_workspace/.keep": "",
    "project/meta.yaml": "name: demo\nsearchdir: [templates, ../shared]\ndefault_config: small.yaml\n",
    "shared/base.yaml": """\
-- set ns = namespace()
-- set ns.lr = 0.1
-- block globals
-- endblock globals
-- block optimizer
optimizer: &optimizer !partial:torch.optim:AdamW
    lr: {{ ns.lr }}
    -- block optimizer_args
    weight_decay: 0.0
    -- endblock optimizer_args
-- endblock optimizer
main: !call:builtins:dict
    optimizer: *optimizer
""",
    "project/templates/project.yaml": """\
-- extends "base.yaml"

[globals]
    == super()
    -- set ns.lr = 0.2

[optimizer_args]
    == super()
    betas: [0.9, 0.95]
""",
    "project/templates/configs/small.yaml": """\
-- extends "project.yaml"

[globals]
    == super()
    -- set ns.lr = 0.3
""",
    "project/templates/configs/large.yaml": """\
-- extends "project.yaml"

[optimizer_args]
    == super()
    eps: 1.0e-6
""",
}


def make_tree(folder: Path, files: dict[str, str] = FILES) -> ide.Editor:
    """Writes the files and opens an editor over them."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return ide.Editor([folder])


def place(editor: ide.Editor, path: Path, marked: str) -> tuple[str, int]:
    """Returns the path and the offset of `|` in a part of a file's text."""
    before, _, behind = marked.partition("|")
    return str(path), editor.source(path).text.index(before + behind) + len(before)


def edit(editor: ide.Editor, path: Path, marked: str) -> tuple[str, int]:
    """Sets the text of an open file; returns the path and the offset of `|`."""
    before, _, behind = marked.rpartition("|")
    editor.open(path, before + behind)
    return str(path), len(before)


def shown(spans: list, folder: Path) -> list[str]:
    """Returns places as `file:line`."""
    return [f"{Path(ide.file_of(span)).relative_to(folder)}:{span.first.line}" for span in spans]
