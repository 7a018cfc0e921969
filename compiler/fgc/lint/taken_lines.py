"""Finds text that line rules remove from values: lines of a block scalar, and an item emptied by a block header.

Line rules apply in block scalars too, and removed text leaves no trace in the document. It is found in gaps: two
pieces that are adjacent in the document, but not in their template.
"""

import re
from collections.abc import Iterable, Iterator

from fgc.diagnostics import Diagnostic, Severity
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.patterns import regex
from fgc.text import Document, Origin, Segment, Source, Span
from fgc.yaml import Composition, Place

_TAKEN = regex(r"(?P<indent>[^\S\n]*)(?P<text>##[^\n]*|\[(?P<name>\w+)!?\])[^\S\n]*(?:\s##[^\n]*)?")
_TRAILING = regex(r"[^\S\n]+(?P<text>##+[^\n]*)")
_CUT = regex(r"(?P<kept>[^\n]*)\s(?P<text>##[^\n]*)")
_PRINT_END = regex(r"\s*[-+]?\}\}")
_SIGIL = regex(r"\s*(?:--|<<|>>|==|=>|\{%|\{\{)")
_SUPPRESSION = regex(r"##+\s*fgc:\s*ignore\[")
_PREFIX = regex(r"[ ]*(?:-[ ]+)*")


@rule
def taken_line(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC315: `## Answer`, `[INST]` or `text ## more` in a block scalar."""
    document = composition.document
    for place in composition.places:
        if place.style == "scalar block":
            for span, name, origin in _taken_in(document, place):
                yield _finding(span, name, origin)


def _taken_in(document: Document, place: Place) -> Iterator[tuple[Span, str | None, Origin]]:
    """Yields what is taken of a block scalar: its place, its name if it is a header, the origin of the text before."""
    text = document.text
    first = text.find("\n", place.start) + 1 or len(text)
    parent, content = _indentation(text, place.start), _indentation_of_content(text[first : place.end])
    last = first + len(text[first : place.end].rstrip())
    segments = document.segments_in(max(first - 2, 0), place.end)
    filled = {(s.piece.origin.block, s.piece.origin.span.source) for s in segments}
    seen: set[tuple[Source, int]] = set()
    walked: set[tuple[Source, int]] = set()
    for segment in segments:
        for span, indent, name in _beside(segment, first - 1, place.end, walked):
            is_within = indent > parent and (segment.start < last or indent >= content)
            is_filled = any(block == name and source is not span.source for block, source in filled)
            if is_within and not (name and is_filled) and (span.source, span.start) not in seen:
                seen.add((span.source, span.start))
                yield span, name, segment.piece.origin


def _indentation(text: str, at: int) -> int:
    """The column of the key or item whose value begins there."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    match = _PREFIX.match(line)
    prefix = match[0] if match else ""
    return len(prefix) if line[len(prefix) :].strip(" \t!&") else prefix.rfind("-")


def _indentation_of_content(text: str) -> int:
    line = next((line for line in text.splitlines() if line.strip()), "")
    return len(line) - len(line.lstrip(" "))


def _beside(
    segment: Segment, start: int, end: int, walked: set[tuple[Source, int]]
) -> Iterable[tuple[Span, int, str | None]]:
    """Yields the text that line rules took right before or behind a piece, with its indentation.

    `walked`: the ends of lines from which an earlier piece has gone on; what follows has been yielded.
    """
    span = segment.piece.origin.span
    if not segment.piece.is_literal:
        print_end = _PRINT_END.match(span.source.text, span.end)
        if print_end is not None and start <= segment.end <= end:
            yield from _behind_print(span.source, print_end.end())
        return
    if start <= segment.end <= end:
        yield from _behind(span.source, span.end, walked)
    if start <= segment.start <= end and segment.piece.text.startswith("\n"):
        yield from _before(span.source, span.start)


def _behind_print(source: Source, at: int) -> Iterator[tuple[Span, int, str | None]]:
    """Yields the comment behind a print: no text may follow that shows it, at the end of a file."""
    if trailing := _TRAILING.match(source.text, at):
        yield from _trailing(source, at, trailing)


def _behind(source: Source, at: int, walked: set[tuple[Source, int]]) -> Iterator[tuple[Span, int, str | None]]:
    text = source.text
    if trailing := _TRAILING.match(text, at):
        yield from _trailing(source, at, trailing)
        at = trailing.end()
    while text.startswith("\n", at) and (source, at) not in walked:
        walked.add((source, at))
        end = _line_end(text, at + 1)
        match = _TAKEN.fullmatch(text, at + 1, end)
        if match is not None:
            yield from _taken(source, match)
        elif text[at + 1 : end].strip() or end == len(text):
            return
        at = end


def _before(source: Source, end: int) -> Iterator[tuple[Span, int, str | None]]:
    text = source.text
    while end > 0:
        start = text.rfind("\n", 0, end) + 1
        match = _TAKEN.fullmatch(text, start, end)
        if match is None:
            cut = _CUT.fullmatch(text, start, end)
            if cut is not None:
                yield from _trailing(source, cut.end("kept"), cut)
            return
        yield from _taken(source, match)
        end = start - 1


def _taken(source: Source, match: re.Match[str]) -> Iterator[tuple[Span, int, str | None]]:
    if not _SUPPRESSION.match(match["text"]):
        yield Span(source, *match.span("text")), len(match["indent"]), match["name"]


def _trailing(source: Source, at: int, match: re.Match[str]) -> Iterator[tuple[Span, int, str | None]]:
    line = source.text[source.text.rfind("\n", 0, at) + 1 : at]
    if not _SUPPRESSION.match(match["text"]) and line.strip():
        yield Span(source, *match.span("text")), len(line) - len(line.lstrip()), None


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _finding(span: Span, name: str | None, origin: Origin) -> Diagnostic:
    text = span.text.rstrip()
    message = f"`{_short(text)}` is read as {'a block header' if name else 'a comment'}, and is not part of the text"
    quote = '"' if "'" in text else "'"
    help = f"to write it, print it: `{{{{ {quote}{text}{quote} }}}}`"
    place = Origin(span, origin.via, origin.block)
    return Diagnostic.at(place, "FGC315", message, severity=Severity.WARNING, help=help)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


@rule
def emptied_value(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC315: an item or key whose list or text, alone on the next line, is read as a block header."""
    document = composition.document
    for place in composition.places:
        is_empty = place.style == "plain" and place.start == place.end and place.node.tag is None
        if is_empty and document.text[place.start - 1 : place.start] in ("-", ":"):
            yield from _header_below(document.locate(place.start - 1, place.start))


def _header_below(mark: Origin) -> Iterator[Diagnostic]:
    """The finding of a header below the dash or colon of an item or a key that has no value."""
    source, at = mark.span.source, mark.span.start
    start = source.text.rfind("\n", 0, at) + 1
    line = source.text[start : _line_end(source.text, start)]
    is_item = line.strip() == "-"
    column = len(line) - len(line.lstrip())
    for span, indent, name in _behind(source, start + len(line), set()):
        is_meant = is_item or (line.rstrip().endswith(":") and _goes_on(source, span.end, column))
        if name is not None and indent > column and is_meant:
            what, before = ("item", "- ") if is_item else ("key", "key: ")
            message = f"`[{name}]` is read as a block header, and leaves this {what} empty"
            help = f"to write a list, put it on the line above: `{before}[{name}]`; to write a text, use quotes as well"
            origin = Origin(span, mark.via)
            yield Diagnostic.at(origin, "FGC315", message, severity=Severity.WARNING, help=help)
            return


def _goes_on(source: Source, at: int, column: int) -> bool:
    """Returns True if the lines behind a header go on beside the key above it: the header is no place to fill."""
    for line in source.text[_line_end(source.text, at) + 1 :].splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            is_text = _SIGIL.match(line) is None and _TAKEN.fullmatch(line) is None
            return is_text and len(line) - len(line.lstrip()) <= column
    return False
