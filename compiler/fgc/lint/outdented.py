"""Prints and includes of several lines: only the first is indented by what stands before them."""

from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.text import Document, Origin, Segment
from fgc.yaml import Composition


@rule
def outdented_line(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC220: an indented print whose second line begins in column 0, where YAML sees another mapping."""
    document = composition.document
    for segment in document.printed:
        if segment.piece.outdented is not None and _begins_line(document, segment):
            is_inside = any(
                place.start < segment.start < place.end
                for place in composition.places
                if place.style in ("flow", "quoted")
            )
            if not is_inside:
                yield _finding(document, segment)


def _begins_line(document: Document, segment: Segment) -> bool:
    return document.text[segment.start - 1 : segment.start] == "\n"


def _finding(document: Document, segment: Segment) -> Diagnostic:
    span = segment.piece.outdented
    assert span is not None, "only such segments are looked at"
    line_end = document.text.find("\n", segment.start)
    place = document.locate(segment.start, line_end if line_end > 0 else None)
    message = "what this prints has several lines, and only the first is indented"
    if span.text.startswith("include"):
        message = "what this includes has several lines, and only the first is indented"
    help = "indent it: `| indent(4)` behind a print, `{% filter indent(4) %}` around an include"
    related = (Related(place.span, "this line lands in column 0"),) if place.span != span else ()
    origin = Origin(span, tuple(way for way in segment.piece.origin.via if way != span), segment.piece.origin.block)
    return Diagnostic.at(origin, "FGC220", message, severity=Severity.WARNING, help=help, related=related)
