"""Finds indented prints and includes of several lines, of which only the first line is indented."""

from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.patterns import regex
from fgc.text import Document, Origin, Segment
from fgc.yaml import Composition

_LOWER_LINE = regex(r"\n(?=[^\s#])")


@rule
def outdented_line(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC220: an indented print whose second line begins in column 0, where YAML sees another mapping."""
    document = composition.document
    for segment in document.printed:
        at = None if segment.piece.outdented is None else _lower_line(document, segment)
        if at is not None and not _is_in_value(composition, at):
            yield _finding(document, segment, at)


def _lower_line(document: Document, segment: Segment) -> int | None:
    """Returns the offset at which a piece begins a line in column 0; it may have been indented since."""
    text = segment.piece.text
    if document.text[segment.start - 1 : segment.start] == "\n" and not text.startswith((" ", "\n", "#")):
        return segment.start
    found = _LOWER_LINE.search(text)
    return None if found is None else segment.start + found.end()


def _is_in_value(composition: Composition, at: int) -> bool:
    """Returns True inside of quotes, brackets or braces, where columns mean nothing."""
    return any(p.start < at < p.end for p in composition.places if p.style in ("flow", "quoted"))


def _finding(document: Document, segment: Segment, at: int) -> Diagnostic:
    span = segment.piece.outdented
    assert span is not None, "only such segments are looked at"
    line_end = document.text.find("\n", at)
    place = document.locate(at, line_end if line_end > 0 else None)
    verb = "includes" if span.text.startswith("include") else "prints"
    message = f"what this {verb} has several lines, and only the first is indented"
    help = "indent it: `| indent(4)` in a print, `{% filter indent(4) %}` around an include"
    related = (Related(place.span, "this line lands in column 0"),) if place.span != span else ()
    origin = Origin(span, tuple(way for way in segment.piece.origin.via if way != span), segment.piece.origin.block)
    return Diagnostic.at(origin, "FGC220", message, severity=Severity.WARNING, help=help, related=related)
