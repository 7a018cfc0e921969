"""Runs a generated program in this process and returns the objects that it constructs.

The text that runs is the one `fgc build` would write. Its packages are in a temporary folder for as long as this
process lives, and it runs in the project's folder, as `fgc train` starts it.
"""

import atexit
import contextlib
import importlib
import itertools
import linecache
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fgc.pipeline.variables import RESOLVED_TEXT

if TYPE_CHECKING:
    from fgc.emit import Program

_numbers = itertools.count(1)


class ConstructionError(Exception):
    """A variable of the program that is unknown, or that has no value."""


def construct(
    program: "Program",
    folder: Path,
    variables: Mapping[str, Any],
    *,
    resolved: str = "",
    system_path: str | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Any:
    """Runs a program's `construct`; returns its target, or a mapping of several. The program's exceptions pass through.

    They carry a note with the path in the configuration and the template's line. `resolved` is the configuration's
    text, the default of the variable `pp_config`. `secrets` are set in the environment while the program reads them.
    """
    always = {RESOLVED_TEXT: resolved} if RESOLVED_TEXT in program.parameters else {}
    given = _arguments(program, {**always, **variables})
    for path in (system_path or "").split(os.pathsep):
        if path and path not in sys.path:
            sys.path.append(path)  # permanently: constructed objects may import later
    name = f"fgc_program_{next(_numbers)}"
    file = f"<{name}>"
    lines = program.text.splitlines(keepends=True)
    linecache.cache[file] = (len(program.text), None, lines, file)  # so that a traceback shows the program's lines
    module = ModuleType(name, "A generated program.")
    sys.modules[name] = module
    with _packages(program.files), contextlib.chdir(folder):
        try:
            with _in_environment(secrets or {}):
                exec(compile(program.text, file, "exec"), module.__dict__)
            return module.__dict__[program.function](**given)
        except Exception as error:
            _add_place(error, program, file)
            raise


@contextlib.contextmanager
def _in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables in the body only, so that later child processes do not inherit them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _arguments(program: "Program", variables: Mapping[str, Any]) -> dict[str, Any]:
    from fgc.diagnostics import did_you_mean

    for name in variables:
        if name not in program.parameters:
            known = ", ".join(f"`{known}`" for known in program.parameters) or "none"
            help = did_you_mean(name, program.parameters) or f"the variables are: {known}"
            raise ConstructionError(f"no target needs a variable `{name}`; {help}")
    return {program.parameters[name]: value for name, value in variables.items()}


@contextlib.contextmanager
def _packages(files: Mapping[str, str]) -> Iterator[None]:
    """Makes a program's packages importable, and removes those of an earlier program."""
    if not files:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="fgc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # model packages are copied from there when saved
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    own = {name.partition("/")[0].removesuffix(".py") for name in files}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _add_place(error: Exception, program: "Program", file: str) -> None:
    """Adds a note to an error: the object being constructed, and its place in the configuration."""
    step, place = error.__traceback__, None
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            positions = list(step.tb_frame.f_code.co_positions())
            line, _, column, _ = positions[step.tb_lasti // 2]  # two bytes an instruction
            place = program.place(line or step.tb_lineno, _column(program.text, line, column))
        step = step.tb_next
    if place is not None:
        error.add_note(f"while constructing `{place.path}`, written at {place.origin.span}")


def _column(text: str, line: int | None, offset_bytes: int | None) -> int | None:
    """Returns a column in characters, from 1, for an offset in bytes, as Python counts."""
    if line is None or offset_bytes is None:
        return None
    return len(text.split("\n")[line - 1].encode()[:offset_bytes].decode(errors="ignore")) + 1
