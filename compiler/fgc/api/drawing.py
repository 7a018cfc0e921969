"""The references of a configuration to a graph: DOT for Graphviz, or SVG with a plain layout of our own."""

import json
from collections.abc import Iterator
from html import escape

from fgc.api.references import References
from fgc.workspace.hierarchy import TemplateEntry, UseKind

_CHARACTER_PX, _BOX_HEIGHT_PX, _ROW_PX, _GAP_PX, _MARGIN_PX = 7.3, 26, 40, 70, 12
_DASHES = {UseKind.EXTENDS: "", UseKind.INCLUDES: "6 3", UseKind.IMPORTS: "2 3"}
_STYLES = {UseKind.EXTENDS: "solid", UseKind.INCLUDES: "dashed", UseKind.IMPORTS: "dotted"}


def as_dot(references: References) -> Iterator[str]:
    """Lines of a DOT file: solid lines extend, dashed ones include, dotted ones import."""
    number = {template: index for index, template in enumerate(references.templates)}
    yield "digraph templates {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="monospace"];'
    for template, index in number.items():
        yield f"  t{index} [label={json.dumps(template.name, ensure_ascii=False)}];"
    for reference in references.references:
        style = f'style={_STYLES[reference.kind]}, tooltip="{reference.kind.value}"'
        yield f"  t{number[reference.user]} -> t{number[reference.used]} [{style}];"
    yield "}"


def as_svg(references: References) -> Iterator[str]:
    """Lines of an SVG file: a column for each step away from the configuration."""
    columns: list[list[TemplateEntry]] = []
    for template, depth in _depths(references).items():
        columns += [[] for _ in range(depth + 1 - len(columns))]
        columns[depth].append(template)
    places: dict[TemplateEntry, tuple[float, float, float]] = {}
    left = float(_MARGIN_PX)
    for column in columns:
        width = max((len(template.name) for template in column), default=0) * _CHARACTER_PX + 16
        for row, template in enumerate(column):
            places[template] = (left, _MARGIN_PX + row * _ROW_PX, width)
        left += width + _GAP_PX
    height = 2 * _MARGIN_PX + max(len(column) for column in columns) * _ROW_PX
    size = f'width="{left:.0f}" height="{height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="12">'
    for reference in references.references:
        yield _line(places[reference.user], places[reference.used], reference.kind)
    for template, (x, y, width) in places.items():
        yield f'<g><title>{escape(template.file)}</title><rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        yield f'height="{_BOX_HEIGHT_PX}" rx="4" fill="#f6f8fa" stroke="#57606a"/>'
        yield f'<text x="{x + 8:.1f}" y="{y + 17:.1f}">{escape(template.name)}</text></g>'
    yield "</svg>"


def _line(start: tuple[float, float, float], end: tuple[float, float, float], kind: UseKind) -> str:
    x1, y1 = start[0] + start[2], start[1] + _BOX_HEIGHT_PX / 2
    x2, y2 = end[0], end[1] + _BOX_HEIGHT_PX / 2
    dashes = f' stroke-dasharray="{_DASHES[kind]}"' if _DASHES[kind] else ""
    path = f"M {x1:.1f} {y1:.1f} C {x1 + 35:.1f} {y1:.1f} {x2 - 35:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{path}" fill="none" stroke="#57606a"{dashes}><title>{kind.value}</title></path>'


def _depths(references: References) -> dict[TemplateEntry, int]:
    """Returns the length of the longest path from the configuration to each template; a cycle ends a path."""
    depths = dict.fromkeys(references.templates, 0)
    for _ in depths:
        is_settled = True
        for reference in references.references:
            depth = min(depths[reference.user] + 1, len(depths) - 1)
            if depths[reference.used] < depth:
                depths[reference.used], is_settled = depth, False
        if is_settled:
            break
    return depths
