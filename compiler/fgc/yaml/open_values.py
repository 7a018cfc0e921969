"""Scalars with text that is known only where the program runs: which stay open, and which must be known now.

A scalar stays open if it is a text: its open pieces become expressions. A variable from outside stays open if it is
all of a scalar that YAML reads as the variable's value. Keys, tags and numbers of the machine are needed now.
"""

import re

from fgc.text import DeferredArgument, DeferredExpression, Document, Need, Segment
from fgc.yaml.nodes import ScalarNode
from fgc.yaml.scalars import UnsupportedScalar, scalar_type, scalar_value

_NAMES_FILE = re.compile(r"\.py:")
_CALLS = ("!call", "!singleton", "!factory", "!partial", "!lambda")  # their scalar is an argument


class OpenValues:
    """Fills scalars of one document, and collects what is needed now."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._seen: set[int] = set()
        self._needs: list[Need] = []

    def fill(self, node: ScalarNode, start: int, end: int, is_key: bool, tag_around: str) -> None:
        """Set a node's `parts` or `argument`, if any of its text, from `start` to `end`, is open."""
        if not self._document.deferred:
            return
        segments = self._document.deferred_in(start, end)
        self._seen.update(segment.start for segment in segments)
        if not segments:
            return
        whole = segments[0].piece.deferred if (segments[0].start, segments[0].end) == (start, end) else None
        if isinstance(whole, DeferredArgument):
            reason = _why_closed(node, whole, is_key, tag_around)
            node.argument = whole if reason is None else None
            self._need(segments if reason else [], reason or "")
            return
        self._need([s for s in segments if isinstance(s.piece.deferred, DeferredArgument)], "it is a part of a text")
        places = [s for s in segments if not isinstance(s.piece.deferred, DeferredArgument)]
        if not places:
            return
        kind = _kind(node)
        if is_key or kind != "str":
            reason = "it stands in a key" if is_key else f"YAML reads `{node.value}` as {_TYPES.get(kind, kind)}"
            self._need(places, reason)
            return
        is_as_written = self._document.text[start:end] == node.value
        node.parts = _parts(node.value, places, start if is_as_written else None)
        if node.parts is None:
            self._need(places, "it is written with escapes")

    def tag(self, text: str, start: int, end: int) -> None:
        """Leave out what a tag needs to name a file: a build copies the file, and keeps no path to it."""
        if _NAMES_FILE.search(text):
            self._seen.update(segment.start for segment in self._document.deferred_in(start, end))

    def finish(self) -> list[Need]:
        """What is needed now; open text outside of all scalars stands in tags, or between values."""
        rest = [segment for segment in self._document.deferred if segment.start not in self._seen]
        self._need([segment for segment in rest if not self._is_comment(segment)], "it stands outside of a value")
        return self._needs

    def _need(self, segments: list[Segment], reason: str) -> None:
        for segment in segments:
            piece = segment.piece
            if piece.deferred is not None:
                self._needs.append(Need(piece.deferred, piece.text, piece.origin.span, reason))

    def _is_comment(self, segment: Segment) -> bool:
        text = self._document.text
        before = text[text.rfind("\n", 0, segment.start) + 1 : segment.start]
        return before.lstrip().startswith("#") or " #" in before


_TYPES = {"int": "an integer", "float": "a number", "bool": "a boolean", "null": "null", "timestamp": "a date"}


def _why_closed(node: ScalarNode, argument: DeferredArgument, is_key: bool, tag_around: str) -> str | None:
    """Why a scalar that is a variable from outside cannot stay open; None if it can."""
    if is_key:
        return "it is a key"
    if node.tag is not None and not node.tag.text.startswith(_CALLS):
        return f"`{node.tag.text}` reads it"
    kind = _kind(node)
    try:
        value = scalar_value(node.value, kind)
    except (UnsupportedScalar, ValueError):
        return f"YAML reads it as {_TYPES.get(kind, kind)}"
    if type(value) is not type(argument.value) or value != argument.value:
        return f"YAML reads it as {_TYPES.get(kind, 'another text')}"
    if tag_around.startswith("!var"):
        return "it belongs to a `!var`"
    if value is None and tag_around.startswith("!dlist"):
        return "whether it is null decides the length of a list"
    return None


def _kind(node: ScalarNode) -> str:
    if node.tag is not None and node.tag.text == "!":
        return "str"
    return scalar_type(node.value, node.is_plain)


def _parts(value: str, segments: list[Segment], start: int | None) -> tuple[str | DeferredExpression, ...] | None:
    """A text cut at its open pieces; None if it does not hold them as they are. `start`: its offset in the document."""
    parts: list[str | DeferredExpression] = []
    position = 0
    for segment in segments:
        piece = segment.piece
        at = value.find(piece.text, position) if start is None else segment.start - start
        if at < 0 or piece.deferred is None:
            return None
        if at > position:
            parts.append(value[position:at])
        parts.append(piece.deferred)
        position = at + len(piece.text)
    if position < len(value):
        parts.append(value[position:])
    return tuple(parts)
