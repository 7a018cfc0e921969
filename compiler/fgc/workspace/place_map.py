"""The map beside a generated program, `train.py.map.json`: parts of generated files to places in templates.

Version 2: `sources` are names of templates and component files as in the manifest. `files` holds for each generated
file rows `[line, column, end_line, end_column, source, line, column, path]`, with `source, line, column` once more
where the text is that of a component file. `settings` holds, for each value that `--set` may change, its areas in
`train.py`; `aliases` leads from further paths of an object to the one that is used there;
`computed` has the types of values that the program computes from its options, `numbers` the paths of integers that may
become numbers with a point. `set` leads from the path of a value that
a template of the library prints to the author's statement that sets it, as `[source, line, column]`. Lines and columns
count from 1, columns in code points; ends are excluded.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, structs

from fgc.emit.places import Area, GeneratedPlace
from fgc.emit.settable import Settable
from fgc.reading import read_json
from fgc.text import Source, Span

MAP = "train.py.map.json"
_VERSION = 2
_NOTHING = Settable()


class TemplatePlace(Struct, frozen=True):
    """A place in a file that went into a build, by the name that the manifest has for it."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class MappedArea(Struct, frozen=True):
    """An area of a generated file, the place in a template that it comes from, and the object's path.

    `component` is the place in a component file whose text this is.
    """

    file: str
    area: Area
    place: TemplatePlace
    path: str
    component: TemplatePlace | None = None


def map_text(
    files: Mapping[str, Iterable[GeneratedPlace]],
    name_of: Callable[[Source], str],
    settable: Settable = _NOTHING,
    *,
    set_at: Mapping[Span, Span] | None = None,
) -> str:
    """The map's text; `name_of` gives a source its name in the manifest. `settable` is what `--set` may change.

    `set_at` leads from places of printed values to the statements that set them.
    """
    numbers: dict[str, int] = {}
    names: dict[Source, str] = {}

    statements: dict[str, list[int]] = {}

    def place(span: Span) -> list[int]:
        source, first = span.source, span.first
        if source not in names:
            names[source] = name_of(source)
        return [numbers.setdefault(names[source], len(numbers)), first.line, first.column]

    def row(item: GeneratedPlace) -> str:
        area = item.area
        cells = [area.line, area.column, area.end_line, area.end_column, *place(item.origin.span), item.path]
        cells += place(item.component.span) if item.component is not None else []
        if set_at and item.path and item.origin.span in set_at:
            statements.setdefault(item.path, place(set_at[item.origin.span]))
        return json.dumps(cells, ensure_ascii=False)

    parts = [
        f" {json.dumps(file)}: [\n  " + ",\n  ".join(map(row, places)) + "\n ]"
        for file, found in files.items()
        if (places := list(found))
    ]
    head = json.dumps({"version": _VERSION, "sources": list(numbers)}, indent=1, ensure_ascii=False)
    areas = {path: [list(structs.astuple(area)) for area in found] for path, found in settable.values.items()}
    tables = [_table("settings", areas), _table("aliases", settable.aliases), _table("computed", settable.computed)]
    tables += [f' "numbers": {json.dumps(settable.numbers, ensure_ascii=False)}'] if settable.numbers else []
    tables += [_table("set", statements)] if statements else []
    return head.removesuffix("\n}") + ',\n "files": {\n' + ",\n".join(parts) + "\n },\n" + ",\n".join(tables) + "\n}\n"


def _table(name: str, rows: Mapping[str, object]) -> str:
    written = (f"  {json.dumps(key, ensure_ascii=False)}: {json.dumps(row)}" for key, row in rows.items())
    return f" {json.dumps(name)}: {{\n" + ",\n".join(written) + "\n }"


def read_map(file: Path) -> list[MappedArea]:
    """All areas of a map. Raises OSError, and ValueError if it is none."""
    form = read_json(file)
    if not isinstance(form, dict) or form.get("version") != _VERSION:
        raise ValueError(f"`{file}` is not a map of version {_VERSION}")
    try:
        return [_area(name, row, form["sources"]) for name, rows in form["files"].items() for row in rows]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"`{file}` is damaged: {error!r}") from None


def _area(name: str, row: Sequence[int | str], sources: Sequence[str]) -> MappedArea:
    def place(start: int) -> TemplatePlace:
        return TemplatePlace(sources[int(row[start])], int(row[start + 1]), int(row[start + 2]))

    area = Area(*(int(cell) for cell in row[:4]))
    return MappedArea(name, area, place(4), str(row[7]), place(8) if len(row) > 8 else None)
