"""A graph of objects to a drawing: DOT for Graphviz, or SVG with a plain layout of our own.

What is constructed is a box, with its plain arguments in it; lines lead to the objects that it is given.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from msgspec import Struct, field

from fgc.ir import (
    Call,
    CallKind,
    Deferred,
    Graph,
    ListNode,
    Literal,
    NodeId,
    Var,
    display_type,
    reachable,
    steps,
)

_CHARACTER_PX, _LINE_PX, _GAP_X_PX, _GAP_Y_PX, _MARGIN_PX = 7.3, 17, 70, 16, 12
_MAX_ROWS, _MAX_WIDTH, _MAX_DEPTH = 10, 46, 4
_STYLES = {  # fill and border of a box, by the kind of a call
    CallKind.SINGLETON: ("#ddf4ff", "#0969da"),
    CallKind.FACTORY: ("#dafbe1", "#1a7f37"),
    CallKind.PARTIAL: ("#fff8c5", "#9a6700"),
    CallKind.META: ("#fbefff", "#8250df"),
}
_PLAIN = ("#f6f8fa", "#57606a")


class Box(Struct):
    """A node that is drawn: its title, its plain arguments, what a pointer on it shows, and its colours."""

    title: str
    tooltip: str
    style: tuple[str, str]
    rows: list[str] = field(default_factory=list)

    @property
    def width_px(self) -> float:
        return max(map(len, [self.title, *self.rows])) * _CHARACTER_PX + 16

    @property
    def height_px(self) -> float:
        return (1 + len(self.rows)) * _LINE_PX + 10


class Drawing(Struct, frozen=True):
    """Boxes by node, in written order, and lines with the argument's name."""

    boxes: Mapping[NodeId, Box]
    lines: Sequence[tuple[NodeId, NodeId, str]]


def draw(graph: Graph, types: Mapping[NodeId, str]) -> Drawing:
    """Returns what is worth a box, and the lines between."""
    needed = list(reachable(graph, graph.targets.values()))
    within = {child for node in needed for label, child, _ in steps(graph, node) if label == ""}
    drawn = _drawn(graph, needed)
    order = [node for node in needed if node in drawn and node not in within]
    names = {node: name for name, node in graph.targets.items()}
    boxes = {node: _box(graph, node, names.get(node), types.get(node)) for node in order}
    lines: list[tuple[NodeId, NodeId, str]] = []
    for node, box in boxes.items():
        for label, child in _parts(graph, node):
            if child in boxes:
                lines.append((node, child, label.removeprefix(".")))
            else:
                box.rows.append(_cut(f"{label.removeprefix('.')} = {_plain(graph, child)}"))
        if len(box.rows) > _MAX_ROWS:
            box.rows[_MAX_ROWS - 1 :] = [f"... {len(box.rows) - _MAX_ROWS + 1} more"]
    return Drawing(boxes, lines)


def as_dot(drawing: Drawing) -> Iterator[str]:
    """Lines of a DOT file."""
    yield "digraph objects {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style="rounded,filled", fontname="monospace", fontsize=11];'
    yield '  edge [fontname="monospace", fontsize=9, color="#57606a"];'
    for node, box in drawing.boxes.items():
        rows = [json.dumps(row, ensure_ascii=False)[1:-1] for row in [box.title, *box.rows]]
        label = f'"{rows[0]}"' if len(rows) == 1 else '"' + "".join(f"{row}\\l" for row in rows) + '"'
        fill, border = box.style
        tooltip = json.dumps(box.tooltip, ensure_ascii=False)
        yield f'  n{node} [label={label}, tooltip={tooltip}, fillcolor="{fill}", color="{border}"];'
    for start, end, text in drawing.lines:
        yield f"  n{start} -> n{end} [label={json.dumps(text, ensure_ascii=False)}];"
    yield "}"


def as_svg(drawing: Drawing) -> Iterator[str]:
    """Lines of an SVG file: a column for each step away from the targets."""
    places, width, height = _layout(drawing)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="12">'
    yield f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>'
    for start, end, text in drawing.lines:
        yield from _line(drawing, places, start, end, text)
    for node, box in drawing.boxes.items():
        x, y = places[node]
        fill, border = box.style
        yield f'<g id="n{node}"><title>{escape(box.tooltip)}</title>'
        yield (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width_px:.1f}" height="{box.height_px:.1f}" rx="5" '
            f'fill="{fill}" stroke="{border}"/>'
        )
        for number, row in enumerate([box.title, *box.rows]):
            weight = ' font-weight="bold"' if number == 0 else ""
            yield f'<text x="{x + 8:.1f}" y="{y + 17 + number * _LINE_PX:.1f}"{weight}>{escape(row)}</text>'
        yield "</g>"
    yield "</svg>"


def _line(
    drawing: Drawing, places: Mapping[NodeId, tuple[float, float]], start: NodeId, end: NodeId, text: str
) -> Iterator[str]:
    x1, y1 = places[start][0] + drawing.boxes[start].width_px, places[start][1] + 14
    x2, y2 = places[end][0], places[end][1] + 14
    path = f"M {x1:.1f} {y1:.1f} C {x1 + 40:.1f} {y1:.1f} {x2 - 40:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    yield f'<path d="{path}" fill="none" stroke="#8c959f"><title>{escape(text)}</title></path>'
    if text:
        yield (
            f'<text x="{x2 - 6:.1f}" y="{y2 - 4:.1f}" text-anchor="end" font-size="10" fill="#57606a">'
            f"{escape(_cut(text, 24))}</text>"
        )


def _layout(drawing: Drawing) -> tuple[dict[NodeId, tuple[float, float]], float, float]:
    """The upper left corner of every box, and the size of the whole."""
    columns: list[list[NodeId]] = []
    for node, depth in _depths(drawing).items():
        columns += [[] for _ in range(depth + 1 - len(columns))]
        columns[depth].append(node)
    places: dict[NodeId, tuple[float, float]] = {}
    left, bottom = float(_MARGIN_PX), 0.0
    for column in columns:
        top = float(_MARGIN_PX)
        for node in sorted(column, key=lambda node: _height_of_users(drawing, places, node)):
            places[node] = (left, top)
            top += drawing.boxes[node].height_px + _GAP_Y_PX
        bottom = max(bottom, top)
        left += max((drawing.boxes[node].width_px for node in column), default=0) + _GAP_X_PX
    return places, max(left - _GAP_X_PX + _MARGIN_PX, 1), max(bottom - _GAP_Y_PX + _MARGIN_PX, 1)


def _height_of_users(drawing: Drawing, places: Mapping[NodeId, tuple[float, float]], node: NodeId) -> float:
    """Returns where the lines to a box come from: boxes of a column are sorted so that few lines cross."""
    heights = [places[start][1] for start, end, _ in drawing.lines if end == node and start in places]
    return sum(heights) / len(heights) if heights else 0.0


def _depths(drawing: Drawing) -> dict[NodeId, int]:
    """Returns how far each box is from those that nothing mentions, by the longest way."""
    below: dict[NodeId, list[NodeId]] = {}
    num_users = dict.fromkeys(drawing.boxes, 0)
    for start, end, _ in drawing.lines:
        below.setdefault(start, []).append(end)
        num_users[end] += 1
    depths = dict.fromkeys(drawing.boxes, 0)
    ready = [node for node, count in num_users.items() if count == 0]
    while ready:
        node = ready.pop(0)
        for child in below.get(node, ()):
            depths[child] = max(depths[child], depths[node] + 1)
            num_users[child] -= 1
            if num_users[child] == 0:
                ready.append(child)
    return depths


def _parts(graph: Graph, node: NodeId) -> list[tuple[str, NodeId]]:
    """Returns what a node mentions; the items of `!list` are its own."""
    found = [(label, child) for label, child, _ in steps(graph, node)]
    if len(found) == 1 and found[0][0] == "":
        return [(label, child) for label, child, _ in steps(graph, found[0][1])]
    return found


def _drawn(graph: Graph, nodes: Sequence[NodeId]) -> set[NodeId]:
    """Objects, and the collections that hold any, however deep."""
    users: dict[NodeId, list[NodeId]] = {}
    for node in nodes:
        for _, child, _ in steps(graph, node):
            users.setdefault(child, []).append(node)
    waiting = [node for node in nodes if _is_object(graph, node)]
    found = set(waiting)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in found:
                found.add(user)
                waiting.append(user)
    return found


def _is_object(graph: Graph, node_id: NodeId) -> bool:
    node = graph[node_id]
    return isinstance(node, Var) or (isinstance(node, Call) and not _is_display(node))


def _is_display(call: Call) -> bool:
    return display_type(call) is not None


def _box(graph: Graph, node_id: NodeId, target: str | None, type_name: str | None) -> Box:
    node = graph[node_id]
    style = _STYLES[node.kind] if isinstance(node, Call) else _PLAIN
    title, tooltip = _title(graph, node_id)
    tooltip += f" -> {type_name}" if type_name else ""
    tooltip += f"\n{node.origin.span}"
    return Box(_cut(f"{target}: {title}" if target is not None else title), tooltip, style)


def _title(graph: Graph, node_id: NodeId) -> tuple[str, str]:
    node = graph[node_id]
    if isinstance(node, Var):
        return f"!var {node.name}", f"variable {node.name}"
    if isinstance(node, Call):
        kind = "" if node.kind is CallKind.SINGLETON else f"{node.kind.value} "
        return f"{kind}{node.callee.attribute}", f"{node.kind.value} {node.callee.text}"
    name = "list" if isinstance(node, ListNode) else "mapping"
    return name, name


def _plain(graph: Graph, node_id: NodeId, depth: int = 0) -> str:
    """A value without objects, in a line."""
    if depth > _MAX_DEPTH:
        return "..."
    node = graph[node_id]
    if isinstance(node, Literal):
        return "a huge number" if isinstance(node.value, int) and node.value.bit_length() > 1000 else repr(node.value)
    if isinstance(node, Deferred):
        return repr(node.text)
    inner = [(label.removeprefix("."), child) for label, child, _ in list(steps(graph, node_id))[:6]]
    parts = [(label, _plain(graph, child, depth + 1)) for label, child in inner]
    if isinstance(node, ListNode):
        return f"[{', '.join(text for _, text in parts)}]"
    if display_type(node) in (list, tuple):
        return parts[0][1] if parts else "[]"
    return "{" + ", ".join(f"{label}: {text}" for label, text in parts) + "}"


def _cut(text: str, width: int = _MAX_WIDTH) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
