"""Errors of a generated program, said with the template lines that they come from.

Reads `train.py.map.json` beside the program when an error passes through it, and never before. Needs nothing but
Python: torch is asked only where torchrun has started the program.
"""

import ast
import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, ParamSpec, TypeVar

from fgc_runtime.refusals import is_refusal, refuse
from fgc_runtime.sources import read_source

P = ParamSpec("P")
R = TypeVar("R")

_ROOTS = {"@library": "fgc_stdlib", "@models": "fgc_models", "@runtime": "fgc_runtime"}
_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"  # where torchrun wants the error of a process
_NAMED = re.compile(r"\b([A-Za-z]\w*)(?= \(|: |\)|, | must\b)")  # names of arguments, as the runtime writes them
_MAX_NAMED = 3  # lines that a message may name
_MAX_ITEMS = 1000  # of a list in which an object is looked for


def record(main: Callable[P, R]) -> Callable[P, R]:
    """Add to an error of a generated `main` the template lines that it comes from, and tell torchrun of it.

    The lines are notes of the exception (PEP 678): they stand below its traceback, and in whatever else prints it. What
    the runtime refuses is told without a traceback.
    """
    file = main.__code__.co_filename

    @functools.wraps(main)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return main(*args, **kwargs)
        except Exception as error:
            _add_notes(error, file)
            if is_refusal(error, file):
                refuse(error)
            raise

    return recorded if _ERROR_FILE not in os.environ else _told_to_torchrun(recorded)


def _told_to_torchrun(main: Callable[P, R]) -> Callable[P, R]:
    try:
        from torch.distributed.elastic.multiprocessing.errors import record as elastic_record
    except ImportError:
        return main
    told: Any = elastic_record(main)
    return functools.wraps(main)(told)


def _add_notes(error: BaseException, program: str) -> None:
    """Say what is known; nothing that goes wrong here may hide the error itself."""
    try:
        places = _Places(Path(program))
        frames = list(_frames(error.__traceback__))
        for note in dict.fromkeys(_notes(places, frames, str(error))):
            error.add_note(note)
    except Exception:
        return


def _frames(step: TracebackType | None) -> Iterator[tuple[FrameType, int, int]]:
    """The frames of a traceback with the line and the column (from 1; 0 if unknown) that each has come to."""
    while step is not None:
        code = step.tb_frame.f_code
        positions = list(code.co_positions())[step.tb_lasti // 2]  # two bytes an instruction
        line, column = positions[0] or step.tb_lineno, positions[2]
        yield step.tb_frame, line, 0 if column is None else column + 1
        step = step.tb_next


def _notes(places: "_Places", frames: Sequence[tuple[FrameType, int, int]], message: str) -> Iterator[str]:
    """The innermost line of the program, or what of it was in use further in; then the innermost of its other files.

    Where the message names values of that object, the lines that set them stand in its place.
    """
    own = [item for item in frames if item[0].f_code.co_filename == places.program]
    if not own:
        return
    frame, line, column = own[-1]
    inner = frames[frames.index(own[-1]) + 1 :]
    used = _in_use(places, [item[0] for item in own], [item[0] for item in inner])
    row = used or places.at(places.program, line, column)
    if row is not None:
        for named in places.named_in(message, row) or [row]:
            yield places.text(named, named[0])
    for frame, line, column in reversed(inner):
        row = places.at(frame.f_code.co_filename, line, column)
        if row is not None:
            yield places.text(row, line)
            return


def _in_use(places: "_Places", own: Sequence[FrameType], inner: Sequence[FrameType]) -> Sequence[Any] | None:
    """Returns what the program constructed or handed over, and what the innermost such frame was busy with."""
    named = list(_named_values([frame.f_locals for frame in own]))
    for frame in reversed(inner):
        first = frame.f_code.co_varnames[: frame.f_code.co_argcount][:1]
        subject = frame.f_locals.get(first[0]) if first else None
        for name, index, value in named:
            if value is subject or (isinstance(value, functools.partial) and _runs(value, frame)):
                row = places.of_variable(name, index)
                if row is not None:
                    return row
    return None


def _named_values(scopes: Sequence[dict[str, Any]]) -> Iterator[tuple[str, int | None, Any]]:
    """The objects of a program by the variable that holds them, and by their place in its list."""
    for scope in scopes:
        for name, value in scope.items():
            if value is None or isinstance(value, bool | int | float | str):
                continue
            yield name, None, value
            if isinstance(value, list | tuple):
                yield from ((name, index, item) for index, item in enumerate(value[:_MAX_ITEMS]))


def _runs(value: functools.partial[Any], frame: FrameType) -> bool:
    """Returns True if a frame is a call of what a partial calls, with the arguments of the partial."""
    function = value.func
    found = [function, getattr(function, "__init__", None), getattr(function, "__new__", None)]
    codes = {id(getattr(item, "__code__", None)) for item in found if hasattr(item, "__code__")}
    if id(frame.f_code) not in codes:
        return False
    scope = frame.f_locals
    return all(scope.get(name, given) is given for name, given in value.keywords.items())


def _file(name: str) -> str:
    """A file of the map as it can be opened here; `@library/...` where fgc is not installed."""
    root, _, rest = name.partition("/")
    spec = find_spec(_ROOTS[root]) if root in _ROOTS else None
    folders = None if spec is None else spec.submodule_search_locations
    path = Path(next(iter(folders))) / rest if folders else None
    return str(path) if path is not None and path.is_file() else name


def _content(path: Path) -> bytes:
    """A file of the program as it was when it started. Raises OSError."""
    content = read_source(path)
    if content is None:
        raise FileNotFoundError(path)
    return content


class _Places:
    """The map beside a program."""

    def __init__(self, program: Path) -> None:
        self.program = str(program)
        form = json.loads(_content(program.with_name(f"{program.name}.map.json")))
        self._sources: list[str] = form["sources"]
        self._set_at: dict[str, list[int]] = form.get("set", {})
        self._files = {str((program.parent / name).resolve()): rows for name, rows in form["files"].items()}
        self._manifest = program.with_name("manifest.json")

    def at(self, file: str, line: int, column: int) -> Sequence[Any] | None:
        """The row of the innermost area around a place; areas hold `[line, column, end_line, end_column, ...]`."""
        path = Path(file).resolve()
        rows = self._files.get(str(path))
        if rows is None:
            return None
        text = _content(path).decode().split("\n")[line - 1]
        column = len(text.encode()[: max(column - 1, 0)].decode(errors="ignore")) + 1  # Python counts bytes
        around = [row for row in rows if tuple(row[:2]) <= (line, column) < tuple(row[2:4])]
        around = around or [row for row in rows if row[0] <= line <= row[2]]
        return max(around, key=lambda row: (row[0], row[1], -row[2], -row[3]), default=None)

    def named_in(self, message: str, row: Sequence[Any]) -> list[Sequence[Any]]:
        """The rows of values that a message names, such as `max_steps (-1)`: of the row's object, or below it."""
        path, rows = f"{row[7]}.", [row for rows in self._files.values() for row in rows]
        below = sorted((row for row in rows if row[7].startswith(path)), key=lambda row: row[7].count("."))
        found: dict[str, Sequence[Any]] = {}
        for name in dict.fromkeys(_NAMED.findall(message)):
            fitting = (row for row in below if row[7].rpartition(".")[2] == name)
            if (first := next(fitting, None)) is not None:
                found[first[7]] = first
        return list(found.values())[:_MAX_NAMED]

    def of_variable(self, name: str, index: int | None) -> Sequence[Any] | None:
        """The row of what a variable of the program is made of, or an item of its list."""
        for node in ast.walk(ast.parse(_content(Path(self.program)))):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
                value = node.value
                if index is not None:
                    items = value.elts if isinstance(value, ast.List | ast.Tuple) else []
                    if index >= len(items) or isinstance(items[index], ast.Name):
                        return None
                    value = items[index]
                return self.at(self.program, value.lineno, value.col_offset + 1)
        return None

    def text(self, row: Sequence[Any], at_line: int) -> str:
        """A row as a note; the place in a component file goes along with the line."""
        source, line, column, path = row[4:8]
        notes = [f"configured at {_file(self._sources[source])}:{line}:{column} as `{path}`"] if path else []
        if path in self._set_at:
            source, line, column = self._set_at[path]
            notes.insert(0, f"set at {_file(self._sources[source])}:{line}:{column}")
        if len(row) > 8:
            notes.append(f"written in {_file(self._sources[row[8]])}:{row[9] + at_line - row[0]}:{row[10]}")
        note = ", ".join(notes)
        return note + ("" if self._is_unchanged() else " (the program was edited since it was built: about there)")

    def _is_unchanged(self) -> bool:
        try:
            known = json.loads(_content(self._manifest))["outputs"][Path(self.program).name]
        except (OSError, ValueError, KeyError):
            return True
        return bool(known == "sha256:" + hashlib.sha256(_content(Path(self.program))).hexdigest())
