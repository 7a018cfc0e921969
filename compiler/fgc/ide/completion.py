"""Completes what may be written at a place. Works on the text before the cursor, so that a line need not be whole."""

from collections.abc import Iterator

from fgc.ide.editor import Editor
from fgc.ide.inside import BLOCK, INSIDE, blocks, inside
from fgc.ide.offers import Completion, Spot
from fgc.ide.yaml_words import yaml_words


def complete(editor: Editor, path: str, offset: int) -> list[Completion]:
    """Returns what may be written at a place, the likeliest first; the editor filters by what is written already."""
    source = editor.source(path)
    before = source.text[source.text.rfind("\n", 0, offset) + 1 : offset]
    return [*dict.fromkeys(_items(Spot(editor, path, source, offset, before)))]


def _items(spot: Spot) -> Iterator[Completion]:
    if spot.before.lstrip().startswith("#"):
        return
    if INSIDE.search(spot.before):
        yield from inside(spot)
    elif found := BLOCK.search(spot.before):
        yield from blocks(spot, found)
    else:
        yield from yaml_words(spot)
