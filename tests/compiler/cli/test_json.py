"""Every key that a listing prints as JSON is in the reference, and the reference names no other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run

REFERENCE = Path(__file__).parents[3] / "docs/reference/commands.md"
_OPEN = {"state", "configurations"}  # what lies below is named by the user, or by the trainer
FILES = {
    "forgather_workspace/x": "",
    "p/meta.yaml": "name: P\n",
    "p/templates/base.yaml": "[args]\nmain: 1\n",
    "p/templates/configs/a.yaml": "-- extends 'base.yaml'\n[args]\nmain: 2\n",
    "out/checkpoints/checkpoint-5/trainer_state.json": '{"global_step": 5}',
    "out/checkpoints/checkpoint-5/checkpoint.json": '{"format": 1, "saved_at": "now", "world_size": 1, "metrics": {}, '
    '"modified": [], "files": {}}',
    "out/runs/train_1/run.json": '{"state": "finished"}',
}
WORDS = {
    "fgc tlist": ["-p", "p", "tlist", "--own"],
    "fgc meta": ["-p", "p", "meta"],
    "fgc trefs": ["-p", "p", "trefs"],
    "fgc targets": ["-p", "p", "targets"],
    "fgc runs": ["runs", "--folder", "out"],
    "fgc checkpoint list": ["checkpoint", "list", "--folder", "out"],
    "fgc checkpoint inspect": ["checkpoint", "inspect", "--folder", "out"],
    "fgc checkpoint components": ["checkpoint", "components", "--folder", "out"],
    "fgc checkpoint prune": ["checkpoint", "prune", "--keep", "1", "--folder", "out"],
    "fgc checkpoint show": ["checkpoint", "show", "--folder", "out"],
    "fgc explain": ["explain"],
}


def rows() -> dict[str, str]:
    """The reference's table, by command."""
    return dict(re.findall(r"(?m)^\| `(fgc [a-z ]+)` \| (`[\[{].*) \|$", REFERENCE.read_text(encoding="utf-8")))


def keys(value: Any, above: str = "") -> Iterator[str]:
    """All keys of a JSON value, but those of mappings that are open."""
    for item in value if isinstance(value, list) else ():
        yield from keys(item, above)
    if isinstance(value, dict) and above not in _OPEN:
        for name, inner in value.items():
            yield name
            yield from keys(inner, name)


@pytest.mark.parametrize("command", WORDS)
def test_the_reference_names_the_keys_of_a_listing(run: Run, command: str) -> None:
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    printed = json.loads(run(*WORDS[command], "--format", "json").out)
    assert set(keys(printed)) == set(re.findall(r'"(\w+)"', rows()[command]))


def test_every_row_of_the_table_is_tried_or_needs_a_running_training() -> None:
    assert set(rows()) - set(WORDS) == {"fgc control list"}
