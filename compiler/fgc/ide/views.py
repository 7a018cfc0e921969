"""Shows what a configuration becomes, beside its template: the resolved text, the graph, the program.

Lines of a view name the lines of templates that they come from.
"""

import os
from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ir import graph_to_text
from fgc.workspace.selection import Selected

View: TypeAlias = Literal["text", "graph", "program"]


class ViewedLine(Struct, frozen=True):
    """A line of a view, from 1, and the line of a file that it comes from."""

    line: int
    path: str
    source_line: int


class Viewed(Struct, frozen=True):
    """The text of a view; `language` is what an editor calls its syntax. `problem` says why there is no text."""

    text: str
    language: str
    lines: tuple[ViewedLine, ...] = ()
    problem: str | None = None


def viewed(editor: Editor, path: str, view: View) -> Viewed:
    """Returns a view of the configuration in whose light a file is read."""
    selected = editor.context(path)
    if selected is None:
        return Viewed("", "text", problem="no configuration uses this file")
    if view == "text":
        return _resolved(selected)
    if selected.has_errors:
        return Viewed("", "text", problem="the configuration has errors: see its findings")
    return _graph(selected) if view == "graph" else _program(selected)


def _resolved(selected: Selected) -> Viewed:
    document = selected.compilation.document
    lines: dict[int, ViewedLine] = {}
    number = 1
    for segment in document.segments:
        origin = segment.piece.origin.span
        for offset, _ in enumerate(segment.piece.text.split("\n")):
            source_line = origin.first.line + (offset if segment.piece.is_literal else 0)
            shown = ViewedLine(number + offset, os.path.abspath(origin.source.display_name), source_line)  # noqa: PTH100
            lines.setdefault(number + offset, shown)
        number += segment.piece.text.count("\n")
    return Viewed(document.text, "yaml", tuple(lines.values()))


def _graph(selected: Selected) -> Viewed:
    return Viewed(graph_to_text(selected.compilation.graph), "text")


def _program(selected: Selected) -> Viewed:
    from fgc.pipeline.program import make_module, make_script  # the emitter: 0.4 s

    graph = selected.compilation.graph
    is_script = "main" in graph.targets
    outcome = (
        make_script(graph, "main", selected.surroundings)
        if is_script
        else make_module(graph, list(graph.targets), selected.surroundings)
    )
    if outcome.value is None:
        return Viewed("", "text", problem="; ".join(found.message for found in outcome.diagnostics))
    places = ((place.area.line, place.origin.span) for place in outcome.value.places)
    found = ((line, span.source.display_name, span.first.line) for line, span in places)
    return Viewed(outcome.value.text, "python", tuple(_lines(found)))


def _lines(places: Iterable[tuple[int, str, int]]) -> Iterable[ViewedLine]:
    found: dict[int, ViewedLine] = {}
    for line, name, source_line in sorted(places):
        found.setdefault(line, ViewedLine(line, os.path.abspath(name), source_line))  # noqa: PTH100
    return found.values()
