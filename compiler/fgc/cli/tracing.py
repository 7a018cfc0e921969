"""Generated lines to template lines and back, by the map that a build holds."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from fgc.cli.arguments import CannotRun
from fgc.cli.copied_files import calls_of, definition_at
from fgc.diagnostics import did_you_mean
from fgc.emit.places import innermost
from fgc.patterns import regex
from fgc.reading import read_bytes, read_text
from fgc.text import Source, Span
from fgc.workspace import display_path
from fgc.workspace.inputs import Inputs
from fgc.workspace.place_map import MAP, MappedArea, TemplatePlace, read_map

_PLACE = regex(r"(?P<file>.+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?:?")
_FRAME = regex(r'\bFile "(?P<file>[^"]+)", line (?P<line>\d+)')
_SHORT_FRAME = regex(r"(?:.*?[\s(│])?(?P<file>[~/.\w][^\s:()│]*\.py):(?P<line>\d+)\b")  # IPython, rich, pytest
_COLOR = regex(r"\x1b\[[0-9;]*m")  # Python 3.13 colours its tracebacks
_MOST_USERS = 3  # objects that are told to be made of one definition
_AHEAD = 2  # lines below a frame: its text, and carets
_CARETS = regex(r"[~^]+")


class Asked(Struct, frozen=True):
    """A place on the command line: `file`, `file:line` or `file:line:column`."""

    file: Path
    line: int | None
    column: int | None

    @staticmethod
    def of(text: str) -> "Asked":
        match = _PLACE.fullmatch(text)
        file = Path(match["file"] if match else text)
        if match is None or file.exists():
            return Asked(file, *_numbers(match))
        whole = Path(text)
        return Asked(whole, None, None) if whole.exists() else Asked(file, *_numbers(match))


def _numbers(match: re.Match[str] | None) -> tuple[int | None, int | None]:
    line, column = (match["line"], match["column"]) if match is not None else (None, None)
    return (int(line) if line else None, int(column) if column else None)


class Build:
    """A build's folder: what its map says, and the files behind it."""

    def __init__(self, folder: Path, project: Path | None) -> None:
        """Raises CannotRun if the folder holds no build with a map."""
        self.folder = folder
        self.inputs = Inputs(folder, project)
        try:
            self.areas = read_map(folder / MAP)
        except OSError:
            raise CannotRun(f"`{display_path(folder)}` is not a build: it contains no `{MAP}`") from None
        except ValueError as problem:
            raise CannotRun(f"{problem}; build it again") from None

    @property
    def files(self) -> list[str]:
        """The generated files that the map speaks of."""
        return list(dict.fromkeys(area.file for area in self.areas))

    def is_edited(self, file: str) -> bool:
        """Returns True if a generated file is not what was written."""
        return self.inputs.is_output_edited(file, read_bytes(self.folder / file))

    def at(self, file: str, line: int, column: int | None, last: int | None = None) -> MappedArea | None:
        """Returns what a generated line, or a character of it, comes from; or all characters up to `last`."""
        found = innermost((area for area in self.areas if area.file == file), line, column, last)
        if found is None or found.component is None or found.area.line == line:
            return found
        place = found.component  # a file that was copied: its lines go along
        return replace(found, component=replace(place, line=place.line + line - found.area.line))

    def lines_of(self, file: str) -> Iterator[MappedArea]:
        """One area for each line of a generated file at which one begins."""
        for line in sorted({area.area.line for area in self.areas if area.file == file}):
            found = self.at(file, line, None)
            if found is not None:
                yield found

    def made_from(self, name: str) -> list[MappedArea]:
        """The areas whose text, or whose component, is written in an input."""
        return [area for area in self.areas if name in (area.place.file, _file(area.component))]

    def users(self, file: str, line: int) -> list[MappedArea]:
        """Returns what the program makes of the function or class that a line of a copied file is in."""
        program = self.files[0]
        names = definition_at(self._text(file), line)
        module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        calls = calls_of(self._text(program), module, names) if names else []
        found = [area for place in calls if (area := self.at(program, *place)) is not None and area.path]
        return list({area.path: area for area in found}.values())

    def _text(self, file: str) -> str:
        try:
            return read_text(self.folder / file)
        except OSError:
            return ""

    def text(self, area: MappedArea) -> str:
        """The generated line at which an area begins."""
        return self.line(area.file, area.area.line).strip()

    def line(self, file: str, number: int) -> str:
        """A line of a generated file; empty if it is not there."""
        lines = self._text(file).split("\n")
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def shown(self, place: TemplatePlace) -> str:
        """A place as it can be opened here, if its file is here."""
        found = self.inputs.find(place.file)
        return f"{place.file if found is None else found.source.display_name}:{place.line}:{place.column}"

    def span(self, place: TemplatePlace) -> Span:
        """A template's place in the file that lies on this machine; in an empty one where it is not found."""
        found = self.inputs.find(place.file)
        source = found.source if found is not None else Source(place.file, "", place.file)
        if found is None or place.line > len(source.line_starts):
            return Span(source, 0, 0)
        start = min(source.line_starts[place.line - 1] + place.column - 1, len(source.text))
        end = source.text.find("\n", start)
        rest = source.text[start : end if end >= 0 else len(source.text)]
        return Span(source, start, start + len(rest.rstrip()))


def _file(place: TemplatePlace | None) -> str | None:
    return None if place is None else place.file


def build_around(file: Path) -> Path | None:
    """The build's folder that a generated file lies in."""
    resolved = file.resolve()
    folders = [resolved, *resolved.parents] if resolved.is_dir() else resolved.parents
    return next((folder for folder in folders if (folder / MAP).is_file()), None)


def input_name(build: Build, file: Path) -> str:
    """Returns the name that a build has for a template. Raises CannotRun if the build does not contain it."""
    known = {area.place.file for area in build.areas} | {_file(area.component) for area in build.areas} - {None}
    names = [*build.inputs.names, *sorted(name for name in known if name)]
    written = file.as_posix()
    if written in names:
        return written
    name = build.inputs.name(file)
    if name in names:
        return name
    help = did_you_mean(file.name, [Path(name).name for name in names])
    where = display_path(build.folder)
    if not file.exists():
        raise CannotRun(f"there is no file `{file}`" + (f"; {help}" if help else ""))
    raise CannotRun(f"`{file}` is not part of the build in `{where}`" + (f"; {help}" if help else ""))


def on_line(areas: Sequence[MappedArea], name: str, line: int, column: int | None) -> list[MappedArea]:
    """The areas that come from a line of an input; with a column, from what begins last before it."""
    found = [(place, area) for area in areas for place in _places(area, name) if place.line == line]
    if column is not None and found:
        before = [place.column for place, _ in found if place.column <= column]
        wanted = max(before) if before else min(place.column for place, _ in found)
        found = [(place, area) for place, area in found if place.column == wanted]
    return [area for _, area in found]


def nearest_lines(areas: Iterable[MappedArea], name: str, line: int) -> list[int]:
    """The last line above and the first below from which something comes."""
    lines = sorted({place.line for area in areas for place in _places(area, name)})
    above, below = [item for item in lines if item < line], [item for item in lines if item > line]
    return [*above[-1:], *below[:1]]


def _places(area: MappedArea, name: str) -> list[TemplatePlace]:
    return [place for place in (area.place, area.component) if place is not None and place.file == name]


def annotated(lines: Iterable[str], build: Build | None, project: Path | None) -> Iterator[str]:
    """A traceback or a log with template lines below the frames of generated files."""
    builds: dict[Path, Build] = {}
    rest = iter(lines)
    ahead: deque[str] = deque(islice(rest, _AHEAD + 1))
    while ahead:
        line = ahead.popleft()
        ahead.extend(islice(rest, 1))
        yield line
        plain = _COLOR.sub("", line)
        frame = _FRAME.search(plain)
        prefix = "" if frame is None else plain[: frame.start()].rstrip()  # logs name ranks, groups have bars
        match = frame or _SHORT_FRAME.match(plain)
        file = Path(match["file"]).expanduser() if match is not None else None
        folder = build_around(file) if file is not None and build is None else None
        if folder is not None and folder not in builds:
            builds[folder] = Build(folder, project)
        here = builds[folder] if folder is not None else build
        if match is not None and file is not None and here is not None:
            shown = [_COLOR.sub("", item).removeprefix(prefix) for item in islice(ahead, _AHEAD)]
            yield from _configured(here, file, int(match["line"]), shown)


def _configured(build: Build, file: Path, number: int, below: Sequence[str]) -> Iterator[str]:
    """Yields the template lines behind a frame in a build's file, wherever it lay; `below` is its line with carets."""
    for name in build.files:
        if not file.as_posix().endswith(f"/{name}") and file.as_posix() != name:
            continue
        found = build.at(name, number, *_columns(build.line(name, number), below)) or build.at(name, number, None)
        users = [] if found is None or found.path else build.users(name, number)
        for area in users[:_MOST_USERS] or ([] if found is None else [found]):
            yield f"    configured at {build.shown(area.place)}" + (f" as `{area.path}`\n" if area.path else "\n")
        if len(users) > _MOST_USERS:
            yield f"    and {len(users) - _MOST_USERS} more\n"
        return


def _columns(text: str, below: Sequence[str]) -> tuple[int | None, int | None]:
    """The columns to which the first and last caret of a traceback point; Python prints none for a whole line."""
    shown, carets = (*below, "", "")[:2]
    marks = _CARETS.search(carets)
    if marks is None or carets.strip("~^ \n") or shown.strip() != text.strip() or not text.strip():
        return None, None
    moved = _indent(text) - _indent(shown)
    return marks.start() + moved + 1, marks.end() + moved


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
