"""The keys around a place in YAML, read from texts line by line: through blocks into the templates that they override.

Texts are enough, so that a line may be half written and a configuration need not compile.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from fgc.ide.chain import drawing, template_at
from fgc.ide.editor import Editor
from fgc.ide.families import TemplateId
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.navigation import file_of, overridden
from fgc.patterns import regex
from fgc.text import Source
from fgc.workspace.hierarchy import UseKind

_OTHER = regex(r"\s*(?:#|--\s|==\s|=>\s|<<\s|>>\s|\{%|\[\w+!?\]\s*\Z|\Z)")  # lines that are no YAML
_LINE = regex(r"(?P<indent> *)(?P<dashes>(?:- +)*)(?:(?P<key>[\w.-]+):(?=\s|\Z))?\s*(?P<behind>.*)")
_HEADER = regex(r"(?m)^(?:(?P<indent>[ \t]*)\[(?P<name>\w+)!?\][ \t]*$|#-+ .+ -+$)")
_SUPER = regex(r"\s*(?:==|=>|\{\{[-+]?)\s*super\(\)")
_MAX_LINES = 2_000  # a person waits
_MAX_TEMPLATES = 40


class Enclosing(Struct, frozen=True):
    """A key around a place, and the text behind it; an item of a list has no key."""

    key: str
    behind: str
    indent: int


class Keys(Struct, frozen=True):
    """The keys around a place, the nearest first, the keys beside it with their lines, and the block around it."""

    around: tuple[Enclosing, ...] = ()
    beside: tuple[tuple[int, str], ...] = ()
    block: str | None = None


def keys_around(editor: Editor, path: str, offset: int, indent: int) -> Keys:
    """Returns the keys around a line of some depth. The nearest one may stand in a template far above."""
    source = editor.source(path)
    number = source.position(offset).line
    block = next(iter(blocks_around(editor, path, offset)), None)
    first = 0 if block is None else block.span.first.line
    beside = [*_beside(source, range(number - 1, first, -1), indent)]
    beside += _beside(source, range(number + 1, len(source.line_starts) + 1), indent)
    walk = _Walk(editor, indent)
    return Keys(tuple(walk.up(path, offset)), tuple(beside), None if block is None else block.name)


def _beside(source: Source, numbers: range, indent: int) -> Iterator[tuple[int, str]]:
    """Yields the keys of the same depth, as far as no line is shallower."""
    for number in numbers[:_MAX_LINES]:
        line = source.line(number)
        if _OTHER.match(line):
            if line.lstrip().startswith("["):
                return
            continue
        match = _LINE.match(line)
        assert match is not None, "the pattern matches every line"
        depth = match.end("dashes")
        is_item = len(match["indent"]) < indent  # its first key stands behind a dash
        if depth < indent or (is_item and numbers.step > 0):
            return
        if depth == indent and match["key"]:
            yield number, match["key"]
        if is_item:
            return


class _Walk:
    """Goes up the lines, and from a block to what it overrides; each line that is less deep encloses."""

    def __init__(self, editor: Editor, indent: int) -> None:
        self._editor = editor
        self._depth = indent
        self._list: int | None = None  # the depth of the list whose item encloses the place
        self._lines = 0  # that were read
        self._seen: list[TemplateId] = []

    def up(self, path: str, offset: int) -> Iterator[Enclosing]:
        """Yields the keys above a place of a file."""
        blocks = blocks_around(self._editor, path, offset)
        while len(self._seen) < _MAX_TEMPLATES:
            template = template_at(self._editor, path, offset)
            self._seen.append(template)
            parent: Mark | None = None
            for mark in blocks:
                parent = next(iter(overridden(self._editor, path, mark)), None)
                yield from self._above(path, offset, mark.span.first.line, parent)
                offset = mark.span.start
                if parent is not None:
                    break
            else:
                yield from self._above(path, offset, self._start(template), None)
            there = self._including() if parent is None else (file_of(parent.span), parent.span.start)
            if self._is_done or there is None:
                return
            path, offset = there
            blocks = [*([parent] if parent else []), *blocks_around(self._editor, path, offset)]

    @property
    def _is_done(self) -> bool:
        return self._depth <= 0 or self._lines > _MAX_LINES

    def _start(self, template: TemplateId) -> int:
        if not template.part:
            return 0
        spans = (
            part.name_span for part in self._editor.families.file(template.path).parts if part.name == template.part
        )
        return next((span.first.line for span in spans if span is not None), 0)

    def _including(self) -> tuple[str, int] | None:
        """Returns the place of an `include` of the templates that were left behind, the last one first."""
        for template in reversed(self._seen):
            for link in drawing(self._editor, template):
                includes = [
                    found.span
                    for closure in self._editor.families.family(link.template.path)
                    for found in closure.links.get(link.template, ())
                    if found.kind is UseKind.INCLUDES and found.target == template
                ]
                if includes and link.template not in self._seen:
                    return file_of(includes[0]), includes[0].start
        return None

    def _above(self, path: str, offset: int, top: int, parent: Mark | None) -> Iterator[Enclosing]:
        """Yields the enclosing lines of one text below a line; where `super()` prints the block above, also its."""
        source = self._editor.source(path)
        for number in range(source.position(offset).line - 1, top, -1):
            if self._is_done:
                return
            self._lines += 1
            line = source.line(number)
            if parent is not None and _SUPER.match(line):
                above = file_of(parent.span)
                grand = next(iter(overridden(self._editor, above, parent)), None)
                yield from self._above(above, parent.whole.end, parent.span.first.line, grand)
            match = None if _OTHER.match(line) else _LINE.match(line)
            if match is not None:
                yield from self._of_line(match)

    def _of_line(self, match: re.Match[str]) -> Iterator[Enclosing]:
        inner, depth = match.end("dashes"), len(match["indent"])
        if match["dashes"] and depth == self._list:
            return  # another item
        if inner < self._depth and match["key"]:
            self._depth, self._list = inner, None
            yield Enclosing(match["key"], match["behind"], inner)
        if match["dashes"] and depth < self._depth:
            self._depth, self._list = depth + 1, depth  # a list may begin at the depth of its key
            yield Enclosing("", "" if match["key"] else match["behind"], depth)


def blocks_around(editor: Editor, path: str, offset: int) -> list[Mark]:
    """Returns the blocks around a place of one template, the innermost first."""
    part = template_at(editor, path, offset).part
    found = [mark for mark in editor.families.marks(path) if mark.kind is MarkKind.BLOCK and mark.part == part]
    around = [mark for mark in found if mark.span.end < offset <= _end(mark)]
    return sorted(around, key=lambda mark: -mark.span.start)


def _end(mark: Mark) -> int:
    """Returns where a block ends; one with a header at the next one that is not deeper, also if it holds nothing."""
    text = mark.span.source.text
    start = text.rfind("\n", 0, mark.span.start) + 1
    indent = text[start : mark.span.start - 1]
    if not text.startswith("[", mark.span.start - 1) or indent.strip():
        return mark.whole.end
    for match in _HEADER.finditer(text, mark.span.end):
        if match["name"] is None or len(match["indent"]) <= len(indent):
            return match.start()
    return len(text)
