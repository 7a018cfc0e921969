"""Finds the overridden values of a path, in the order in which they were overridden."""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from fgc.explain.pairs import Candidate
from fgc.explain.paths import Found, Step, find_below
from fgc.text import Origin
from fgc.yaml import AliasNode, Node


class Override(Struct, frozen=True):
    """An overridden value: where it was written, and how it got there."""

    value: Node
    key: Node | None
    note: str

    @property
    def origin(self) -> Origin:
        return self.key.origin if self.key is not None else self.value.origin


def overrides_of(steps: Iterable[Step]) -> Iterator[Override]:
    """Yields earlier values of the path and of its parents, because a repeated key replaces everything below it."""
    for step in steps:
        for candidate in step.candidates[:-1]:
            found = find_below(candidate.value, step.rest, step.path)
            if isinstance(found, Found):
                notes = _notes(step, candidate, is_below=bool(found.steps))
                for item in overrides_of(found.steps):
                    yield replace(item, note=", ".join(filter(None, (*notes, item.note))))
                key = found.steps[-1].chosen.key if found.steps else candidate.key
                yield Override(found.node, key, ", ".join(notes))


def _notes(step: Step, candidate: Candidate, *, is_below: bool) -> list[str]:
    merged = [f"merged from {merge_text(candidate.merge)}"] if candidate.merge is not None else []
    return [f"in an earlier `{step.path}`", *merged] if is_below else merged


def merge_text(merge: Node) -> str:
    """Returns a merged mapping as its author named it."""
    return f"`*{merge.name}`" if isinstance(merge, AliasNode) else "a mapping"
