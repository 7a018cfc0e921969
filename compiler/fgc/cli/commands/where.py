"""Map a generated line to its template line, and a template line to the generated lines.

`PLACE` is `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN`. For a generated file (train.py, a model's files, config.yaml), it
prints the template's file, line and column and the object's path in the configuration. For a template, it prints the
lines of the build in `-o` that come from it. `-` reads a traceback or a log and adds the template lines to it. Exit
code 1 if the place has no counterpart, 2 if the file or build does not exist.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgc.cli.arguments import CannotRun
from fgc.printing import use_color

if TYPE_CHECKING:
    from fgc.cli.tracing import Asked, Build
    from fgc.workspace.place_map import MappedArea, TemplatePlace

EXAMPLES = (
    "fgc where out/train.py:57",
    "fgc where out/my_model/modeling_my_model.py:120:9",
    "fgc where templates/configs/my.yaml:12 -o out    lines that come from line 12",
    "fgc where templates/configs/my.yaml              all lines that come from a template",
    "python out/train.py 2>&1 | fgc where -",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc where`."""
    parser.add_argument("place", metavar="PLACE", help="FILE[:LINE[:COLUMN]], or `-` for a traceback on standard input")
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", help="the build (default: the one that contains the generated file, or out)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Print the places."""
    from fgc.cli.tracing import Asked, Build, annotated, build_around  # reads templates' machinery: 0.15 s

    project = Path(arguments.project) if arguments.project else None
    try:
        chosen = Build(Path(arguments.output), project) if arguments.output else None
        if arguments.place == "-":
            sys.stdout.writelines(annotated(sys.stdin, chosen, project))
            return 0
        asked = Asked.of(arguments.place)
        around = build_around(asked.file)
        if around is not None:
            build = Build(around, project)
            file = asked.file.resolve().relative_to(around.resolve()).as_posix()
            return _of_generated(build, file, asked, arguments.format)
        return _of_template(chosen or Build(Path("out"), project), asked, arguments.format)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2


def _of_generated(build: "Build", file: str, asked: "Asked", form: str) -> int:
    if file not in build.files:
        raise CannotRun(f"the map says nothing of `{file}`; it speaks of {', '.join(build.files)}")
    if asked.line is None:
        found = list(build.lines_of(file))
    else:
        one = build.at(file, asked.line, asked.column)
        found = [] if one is None else [one]
    if build.is_edited(file):
        print(f"fgc: `{file}` was edited since it was built: places may be off", file=sys.stderr)
    if form == "json":
        print(json.dumps({"version": 1, "found": [_form(build, area) for area in found]}, indent=2, ensure_ascii=False))
    elif asked.line is None:
        for area in found:
            print(f"{file}:{area.area.line}: {area.place}" + (f" `{area.path}`" if area.path else ""))
    else:
        sys.stdout.write("\n".join(_shown(build, area) for area in found))
    if not found and form == "text":
        print(f"line {asked.line} of {file} comes from no template: it belongs to every program")
    return int(not found)


def _of_template(build: "Build", asked: "Asked", form: str) -> int:
    from fgc.cli.tracing import input_name, nearest_lines, on_line

    name = input_name(build, asked.file)
    areas = build.made_from(name)
    found = areas if asked.line is None else on_line(areas, name, asked.line, asked.column)
    found = sorted(found, key=lambda area: (build.files.index(area.file), area.area))
    if form == "json":
        print(json.dumps({"version": 1, "found": [_form(build, area) for area in found]}, indent=2, ensure_ascii=False))
        return int(not found)
    for area in found:
        source = area.place if area.place.file == name else area.component
        head = f"{source.line if source else 0}: " if asked.line is None else ""
        print(f"{head}{_generated(build, area)}: {build.text(area)}" + (f"  [{area.path}]" if area.path else ""))
    if not found:
        lines = [] if asked.line is None else nearest_lines(areas, name, asked.line)
        what = f"line {asked.line} of {name}" if asked.line is not None else name
        near = f"; something comes from line {' and from line '.join(map(str, lines))}" if lines else ""
        print(f"nothing in the build comes from {what}{near}")
    return int(not found)


def _shown(build: "Build", area: "MappedArea") -> str:
    """A generated line, its path, and the template's line with a caret."""
    from fgc.diagnostics.render import snippet

    lines = [f"{_generated(build, area)}: {build.text(area)}", *([f"  {area.path}"] if area.path else [])]
    for place, arrow in ((area.place, "-->"), (area.component, ":::")):
        if place is None:
            continue
        span = build.span(place)
        if place is area.component:
            lines.append("  written in the component")
        if span.source.text:
            lines += snippet(span, arrow, use_color=use_color(sys.stdout))
        else:
            lines.append(f"  {arrow} {place} (not found here; `-p PROJECT` says where it is)")
        found = build.inputs.find(place.file)
        if found is not None and not found.is_current:
            lines.append(f"  {place.file} was changed since the build: the line may be another one")
    return "\n".join(lines) + "\n"


def _generated(build: "Build", area: "MappedArea") -> str:
    from fgc.workspace import display_path

    return f"{display_path(build.folder / area.file)}:{area.area.line}:{area.area.column}"


def _form(build: "Build", area: "MappedArea") -> dict[str, Any]:
    def place_form(place: "TemplatePlace") -> dict[str, Any]:
        found = build.inputs.find(place.file)
        span = build.span(place)
        return {
            "name": place.file,
            "file": None if found is None else span.source.display_name,
            "line": place.line,
            "column": place.column,
            "text": span.text or None,
            "is_current": found is not None and found.is_current,
        }

    return {
        "file": area.file,
        "line": area.area.line,
        "column": area.area.column,
        "end_line": area.area.end_line,
        "end_column": area.area.end_column,
        "path": area.path or None,
        "template": place_form(area.place),
        "component": None if area.component is None else place_form(area.component),
    }
