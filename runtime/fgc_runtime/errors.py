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
import sys
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, ParamSpec, TypeAlias, TypeVar

from fgc_runtime.full_disk import FULL_DISK
from fgc_runtime.refusals import is_refusal, refuse
from fgc_runtime.sources import read_source

P = ParamSpec("P")
R = TypeVar("R")

_Step: TypeAlias = tuple[FrameType, int, int, int]
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
        threading.excepthook = _of_threads(threading.excepthook, file)
        try:
            return main(*args, **kwargs)
        except Exception as error:
            if not _is_of_the_machine(error):
                _add_notes(error, file)
            if is_refusal(error, file):
                refuse(error)
            raise

    return recorded if _ERROR_FILE not in os.environ else _told_to_torchrun(recorded)


def _is_of_the_machine(error: Exception) -> bool:
    """Returns True for what no line of a template has caused: a full disk, a checkpoint that could not be written."""
    return getattr(error, "is_of_the_machine", isinstance(error, OSError) and error.errno in FULL_DISK)


def _told_to_torchrun(main: Callable[P, R]) -> Callable[P, R]:
    try:
        from torch.distributed.elastic.multiprocessing.errors import record as elastic_record
    except ImportError:
        return main
    told: Any = elastic_record(main)
    return functools.wraps(main)(told)


def _of_threads(told: Callable[[Any], Any], file: str) -> Callable[[Any], Any]:
    """Returns what tells of an error that ends a thread, with the template lines that it comes from."""

    def tell(arguments: Any) -> None:
        if isinstance(arguments.exc_value, Exception):
            _add_notes(arguments.exc_value, file)
        told(arguments)

    return tell


def _add_notes(error: BaseException, program: str) -> None:
    """Say what is known; nothing that goes wrong here may hide the error itself."""
    try:
        places = _Places(Path(program))
        frames = list(_frames(error.__traceback__))
        for note in dict.fromkeys(_notes(places, frames, str(error))):
            error.add_note(note)
    except Exception:
        return


def _frames(step: TracebackType | None) -> Iterator[_Step]:
    """The frames of a traceback with what each has come to: its line, and its columns from 1; 0 if they are unknown."""
    while step is not None:
        code = step.tb_frame.f_code
        positions = list(code.co_positions())[step.tb_lasti // 2]  # two bytes an instruction
        line, end_line, column, end_column = positions
        first = 0 if column is None else column + 1
        last = 0 if end_column is None or end_line != line else end_column
        yield step.tb_frame, line or step.tb_lineno, first, last
        step = step.tb_next


def _notes(places: "_Places", frames: Sequence[_Step], message: str) -> Iterator[str]:
    """The innermost line of the program, or what of it was in use further in; then the innermost of its other files.

    Where the message names values of that object, the lines that set them stand in its place.
    """
    own = [item for item in frames if item[0].f_code.co_filename == places.program]
    inner = frames[frames.index(own[-1]) + 1 :] if own else list(frames)  # in a thread, all are
    used = _in_use(places, [item[0] for item in own], [item[0] for item in inner])
    row = used or _mentioned(places, own, [item[0] for item in inner])
    if row is None and own:
        row = places.at(places.program, *own[-1][1:])
    if row is not None:
        for named in places.named_in(message, row) or [row]:
            yield places.text(named, named[0])
    for frame, line, *columns in reversed(inner):
        row = places.at(frame.f_code.co_filename, line, *columns)
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


def _mentioned(places: "_Places", own: Sequence[_Step], inner: Sequence[FrameType]) -> Sequence[Any] | None:
    """Returns where the program names what the innermost frames run, as far as its line names that once.

    Without a frame of the program, all of it is searched.
    """
    values = own[-1][0].f_globals if own else vars(sys.modules["__main__"])
    line = own[-1][1] if own else None
    for frame in reversed(inner):
        is_direct = bool(own) and frame is inner[0]  # of a method that the line itself calls, the call is meant
        found = {name: value for name, value in values.items() if _holds(value, frame.f_code)}
        names = {name for name, value in found.items() if not (is_direct and isinstance(value, type))}
        row = places.naming(names, line) if names else None
        if row is not None:
            return row
    return None


def _holds(value: Any, code: CodeType) -> bool:
    """Returns True for a function with this code, and for a class that has one."""
    found = [value, *vars(value).values()] if isinstance(value, type) else [value]
    return any(getattr(getattr(item, "__func__", item), "__code__", None) is code for item in found)


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


def _covers(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


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

    def at(self, file: str, line: int, column: int, last: int = 0) -> Sequence[Any] | None:
        """The row of the innermost area around a place; areas hold `[line, column, end_line, end_column, ...]`.

        `last`: the column of a later character of the line, which it should hold too.
        """
        path = Path(file).resolve()
        rows = self._files.get(str(path))
        if rows is None:
            return None
        text = _content(path).decode().split("\n")[line - 1]
        column, last = (  # Python counts bytes
            len(text.encode()[: max(place - 1, 0)].decode(errors="ignore")) + 1 for place in (column, last)
        )
        around = [row for row in rows if tuple(row[:2]) <= (line, column) < tuple(row[2:4])]
        around = [row for row in around if (line, last) < tuple(row[2:4])] or around
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

    def naming(self, names: Container[str], line: int | None) -> Sequence[Any] | None:
        """The row of the only mention of some names, in the statement at a line or anywhere; None if there are more."""
        tree: ast.AST = ast.parse(_content(Path(self.program)))
        if line is not None:
            around = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _covers(node, line)]
            tree = max(around, key=lambda node: node.lineno, default=tree)
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names]
        return self.at(self.program, found[0].lineno, found[0].col_offset + 1) if len(found) == 1 else None

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
