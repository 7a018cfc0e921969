"""The map of a program as a file: generated line to template and path in the graph."""

import json

from fgc.emit.program import Place, Program

_VERSION = 1


def map_file(program: Program, name: str) -> str:
    """JSON for `<name>.map.json`: templates by the names their authors use, lines and columns from 1."""
    lines = {str(line): _place(place) for line, place in program.lines.items()}
    return json.dumps({"version": _VERSION, "program": name, "lines": lines}, indent=1, ensure_ascii=False) + "\n"


def _place(place: Place) -> dict[str, str]:
    span = place.origin.span
    first = span.first
    return {"template": f"{span.source.name}:{first.line}:{first.column}", "path": place.path}
