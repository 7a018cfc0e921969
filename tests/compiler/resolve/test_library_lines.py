"""Templates of the library keep line ends: included, followed by anything, overridden with `<<`, they glue no lines."""

import re
from pathlib import Path

import pytest
from fgc.workspace import collect_facts, template_library
from fgc.workspace.session import Session

LIBRARY = template_library() or Path()
NAMES = sorted(str(path.relative_to(LIBRARY)) for path in LIBRARY.rglob("*.yaml") if path.parent.name != "conversions")
WHOLE = [name for name in NAMES if "endblock" in (LIBRARY / name).read_text(encoding="utf-8")]


def glued(folder: Path, text: str) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    found = Session([folder, LIBRARY]).compile(path, "config.yaml", {}, collect_facts(folder, None)).diagnostics
    return [finding.message for finding in found if finding.code == "FGC211"]


@pytest.mark.parametrize("name", NAMES)
def test_a_line_behind_an_included_template_is_a_line_of_its_own(tmp_path: Path, name: str) -> None:
    names = "model_template='models/llama.yaml', trainer_template='trainers/trainer.yaml', nproc_per_node=1"
    assert not glued(tmp_path, f"-- set ns = namespace({names})\n-- include '{name}'\nnext: 1\n")


@pytest.mark.parametrize("name", WHOLE)
def test_blocks_that_end_with_a_strip_glue_nothing(tmp_path: Path, name: str) -> None:
    blocks = re.findall(r"-- block (\w+)", (LIBRARY / name).read_text(encoding="utf-8"))
    for block in blocks:
        override = f"-- extends '{name}'\n-- block {block}\n{block}: 1\n<< endblock {block}\n"
        assert not glued(tmp_path, override), block
