"""Maps lines of a model package's files to their origin: fields of the configuration, and component files."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher

from fgc.emit.linemap import Columns
from fgc.emit.model.components import Definition
from fgc.emit.model.request import PackageRequest
from fgc.emit.model.values import PartConstruction, walk
from fgc.emit.places import Area, NodeArea
from fgc.ir import Call, Graph, NodeId, reachable
from fgc.text import Origin, Source, Span

_PLANS = {"base_model_tp_plan": "tp_plan", "base_model_pp_plan": "pp_plan"}


def configuration_areas(text: str, graph: Graph, node: NodeId, request: PackageRequest) -> Iterator[NodeArea]:
    """Yields the areas of fields in a configuration file, with the entries that they were made from."""
    call = graph[node]
    assert isinstance(call, Call), "a model package is described by a call"
    values = {entry.name: entry.value for entry in request.config}
    values |= {name: k.value for name, given in _PLANS.items() for k in call.keywords if k.name == given}
    columns = Columns(text)
    for definition in _classes(text):
        yield NodeArea(columns.area(definition), node, call.origin)
        for item in definition.body:
            name = getattr(item.target, "id", "") if isinstance(item, ast.AnnAssign) else ""
            if name in values:
                yield NodeArea(columns.area(item), values[name], graph[values[name]].origin)


def modeling_areas(
    text: str, graph: Graph, node: NodeId, model: PartConstruction, pieces: Mapping[str, Definition]
) -> Iterator[NodeArea]:
    """Yields the areas made from component files; `pieces` are the definitions by their generated names."""
    uses = _uses(graph, node, model)
    columns = Columns(text)
    lines = text.split("\n")
    for statement in ast.parse(text).body:
        definition = pieces.get(getattr(statement, "name", ""))
        if definition is None:
            continue
        user, origin = uses.get(definition, (node, graph[node].origin))
        source = definition.module.source
        yield NodeArea(columns.area(statement), user, origin, Origin(definition.span))
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        pairs = _aligned(lines[first - 1 : last], _definition_lines(definition))
        for offset, component_offset in pairs:
            line = first + offset
            component = _line_origin(source, definition.node.lineno + component_offset)
            column = len(lines[line - 1]) - len(lines[line - 1].lstrip()) + 1
            yield NodeArea(Area(line, column, line, len(lines[line - 1]) + 1), user, origin, component)


def _classes(text: str) -> Iterable[ast.ClassDef]:
    return (item for item in ast.parse(text).body if isinstance(item, ast.ClassDef))


def _uses(graph: Graph, node: NodeId, model: PartConstruction) -> dict[Definition, tuple[NodeId, Origin]]:
    """Returns the first node that uses each component."""
    parts = ((node_id, graph[node_id]) for node_id in reachable(graph, [node]))  # of this model only
    by_place = {item.callee.origin.span: node_id for node_id, item in parts if isinstance(item, Call)}
    found: dict[Definition, tuple[NodeId, Origin]] = {}
    for part in walk(model):
        if isinstance(part, PartConstruction) and isinstance(part.target, Definition):
            origin = part.symbol.origin
            found.setdefault(part.target, (by_place.get(origin.span, node), origin))
    return found


def _definition_lines(definition: Definition) -> list[str]:
    node = definition.node
    return definition.module.source.text.split("\n")[node.lineno - 1 : node.end_lineno]


def _aligned(generated: list[str], component: list[str]) -> Iterator[tuple[int, int]]:
    """Yields pairs of lines; a rewritten line is paired with the component's line in its place."""
    matcher = SequenceMatcher(None, [line.strip() for line in generated], [c.strip() for c in component], False)
    for _, start, end, component_start, component_end in matcher.get_opcodes():
        last = max(component_end - 1, component_start - 1, 0)
        for position in range(start, end):
            if generated[position].strip():
                yield position, min(component_start + position - start, last)


def _line_origin(source: Source, line: int) -> Origin:
    text = source.line(line)
    start = source.line_starts[line - 1] + len(text) - len(text.lstrip())
    return Origin(Span(source, start, source.line_starts[line - 1] + len(text)))
