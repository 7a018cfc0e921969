"""A graph as plain rows, which can be written to `graph.json`, read back, and compared with another.

Places are stored with names of files and without their texts. Version 1: `nodes` are rows `[kind, value,
how, [source, line, column], [[label, node, source, line, column], ...]]`; a label is a step of a path.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, assert_never

from msgspec import Struct

from fgc.ir.graph import Graph, reachable
from fgc.ir.nodes import Call, Deferred, DictNode, ListNode, Literal, NodeId, Scalar, Var
from fgc.ir.steps import steps
from fgc.text import DeferredExpression, Origin, Source, expression_text, text_with_values

_VERSION = 1
_LARGE = 2**63
Value: TypeAlias = Scalar


class FilePlace(Struct, frozen=True):
    """A place in a file by the file's name; lines and columns from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Part(Struct, frozen=True):
    """A node that another one mentions: the step of the path to it, and where its name is written."""

    label: str
    node: int
    place: FilePlace


class Row(Struct, frozen=True):
    """A node: `kind` is value, text (known at run time), list, mapping, call or variable.

    `value` is the scalar, the text with `${...}`, the callable or the variable's name; `how` a call's kind.
    """

    kind: str
    value: Value
    how: str
    place: FilePlace
    parts: tuple[Part, ...] = ()


class Snapshot(Struct, frozen=True):
    """Rows by number, and the targets in order with the places of their keys."""

    rows: tuple[Row, ...]
    targets: Mapping[str, Part]


def snapshot(graph: Graph, name_of: Callable[[Source], str]) -> Snapshot:
    """Returns the rows that the targets need, in written order; `name_of` returns the name to store for a source."""
    names: dict[Source, str] = {}

    def place(origin: Origin) -> FilePlace:
        source, first = origin.span.source, origin.span.first
        if source not in names:
            names[source] = name_of(source)
        return FilePlace(names[source], first.line, first.column)

    order = list(reachable(graph, graph.targets.values()))
    numbers = {node: number for number, node in enumerate(order)}
    rows = tuple(_row(graph, node, numbers, place) for node in order)
    targets = {
        name: Part(name, numbers[node], place(graph.target_origins.get(name, graph[node].origin)))
        for name, node in graph.targets.items()
    }
    return Snapshot(rows, targets)


def _row(graph: Graph, node_id: NodeId, numbers: Mapping[NodeId, int], place: Callable[[Origin], FilePlace]) -> Row:
    node = graph[node_id]
    parts = tuple(Part(label, numbers[child], place(origin)) for label, child, origin in steps(graph, node_id))
    at = place(node.origin)
    match node:
        case Literal():
            return Row("value", node.value, "", at)
        case Deferred():
            pieces = map(_written, node.parts)
            return Row("text", "".join(pieces), "", at)
        case ListNode():
            return Row("list", None, "", at, parts)
        case DictNode():
            return Row("mapping", None, "", at, parts)
        case Call():
            return Row("call", node.callee.text, node.kind.value, place(node.callee.origin), parts)
        case Var():
            return Row("variable", node.name, "", at, parts)
        case _:
            assert_never(node)


def _written(part: str | DeferredExpression) -> str:
    """A part of a text, with the values that variables from outside have."""
    known = text_with_values(part)
    return known if isinstance(known, str) else f"${{{expression_text(known)}}}"


def snapshot_to_json(found: Snapshot) -> str:
    """The text of `graph.json`: a row a line."""
    numbers: dict[str, int] = {}

    def cells(place: FilePlace) -> list[Any]:
        return [numbers.setdefault(place.file, len(numbers)), place.line, place.column]

    rows = [
        json.dumps(
            [
                row.kind,
                _scalar(row.value),
                row.how,
                cells(row.place),
                [[part.label, part.node, *cells(part.place)] for part in row.parts],
            ],
            ensure_ascii=False,
        )
        for row in found.rows
    ]
    targets = json.dumps(
        {name: [part.node, *cells(part.place)] for name, part in found.targets.items()}, ensure_ascii=False
    )
    sources = json.dumps(list(numbers), ensure_ascii=False)
    head = f'{{\n "version": {_VERSION},\n "sources": {sources},\n "targets": {targets},\n "nodes": [\n  '
    return head + ",\n  ".join(rows) + "\n ]\n}\n"


def snapshot_from_json(text: str) -> Snapshot:
    """Returns the snapshot that `snapshot_to_json` wrote. Raises ValueError for any other text."""
    form = json.loads(text)
    if not isinstance(form, dict) or form.get("version") != _VERSION:
        raise ValueError(f"no graph of version {_VERSION}")
    try:
        sources = form["sources"]
        rows = tuple(_read_row(row, sources) for row in form["nodes"])
        targets = {name: _read_part([name, *cells], sources) for name, cells in form["targets"].items()}
        mentioned = [*targets.values(), *(part for row in rows for part in row.parts)]
        if not all(0 <= part.node < len(rows) for part in mentioned):
            raise ValueError("a node that does not exist is mentioned")
        return Snapshot(rows, targets)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"damaged: {error!r}") from None


def _read_row(row: Sequence[Any], sources: Sequence[str]) -> Row:
    kind, value, how, cells, parts = row
    if isinstance(value, dict):
        value = float(value["$float"]) if "$float" in value else int(value["$int"], 16)
    return Row(kind, value, how, _read_place(cells, sources), tuple(_read_part(part, sources) for part in parts))


def _read_part(cells: Sequence[Any], sources: Sequence[str]) -> Part:
    return Part(str(cells[0]), int(cells[1]), _read_place(cells[2:], sources))


def _read_place(cells: Sequence[Any], sources: Sequence[str]) -> FilePlace:
    return FilePlace(str(sources[cells[0]]), int(cells[1]), int(cells[2]))


def _scalar(value: Value) -> Any:
    """Returns a scalar for JSON; numbers that JSON lacks become objects."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, int) and abs(value) >= _LARGE:
        return {"$int": hex(value)}  # Python limits the length of decimals
    return value
