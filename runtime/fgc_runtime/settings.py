"""`--set PATH=VALUE` of a generated program: other values in its text, for this run; and options of every training.

The map beside the program says where each value of the configuration stands. The program runs once more with the new
values written there, so what it constructs is what a build with them would construct. Needs nothing but Python.
"""

import argparse
import ast
import difflib
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from fgc_runtime.options import boolean

_OPTION = "--set"
_HELP = "set a value of the configuration, as in optimizer.lr=0.1; may be repeated"
_APPLIED = "_fgc_settings_are_applied"
_STEP = re.compile(r"\.?[^.\[\]]+|\[[^\[\]]*\]")
_NUMBERED = re.compile(r"\.arg(\d+)")
_EXAMPLES = {"bool": True, "int": 1, "float": 0.1, "str": "", "NoneType": None}  # of values that options decide
_NOT_FINITE = re.compile(r"-?\w+\.(inf|nan)")
_NONE = ("none", "null", "~")
_KINDS = {bool: "true or false", int: "an integer", float: "a number"}
Area: TypeAlias = tuple[int, int, int, int]  # line, column, line and column of the end, from 1


class SettingError(ValueError):
    """A path that names no value of the program, or a text that is no value of its kind."""


_chosen: dict[str, str] = {}


class TrainingArgument(argparse.Action):
    """The action of `--output-dir` and `--run-name`: another value for the training argument of that name."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if not isinstance(values, str) or not values:
            parser.error(f"{option_string} must not be empty")
        _chosen[self.dest] = values
        setattr(namespace, self.dest, values)


def chosen_arguments() -> Mapping[str, str]:
    """Returns the training arguments that the command line gives, by name."""
    return _chosen


class SetValue(argparse.Action):
    """The action of `--set`: runs the program with the values that are given, and ends it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        run_with_settings()


def read_command_line() -> None:
    """Reads the words behind a program that declares no options: `--set PATH=VALUE` and `--help`.

    Any other word is an error, so that a slip is not swallowed.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__, allow_abbrev=False)
    parser.add_argument(_OPTION, action=SetValue, metavar="PATH=VALUE", help=_HELP)
    parser.parse_args()


def run_with_settings() -> None:
    """Run the program again with what `--set` says on its command line; then end. Does nothing in that second run."""
    main = sys.modules["__main__"]
    file = main.__file__
    if getattr(main, _APPLIED, False) or file is None:
        return
    try:
        text = text_with(Path(file), settings_in(sys.argv[1:]))
    except SettingError as problem:
        _fail(Path(file).name, str(problem))
    setattr(main, _APPLIED, True)
    exec(compile(text, file, "exec"), main.__dict__)
    raise SystemExit(0)


def settings_in(words: Sequence[str]) -> dict[str, str]:
    """Returns the values by path that a command line gives. Raises SettingError."""
    found: dict[str, str] = {}
    for position, word in enumerate(words):
        option, equals, given = word.partition("=")
        if option != _OPTION:
            continue
        setting = given if equals else "".join(words[position + 1 : position + 2])
        path, has_value, value = setting.partition("=")
        if not path or not has_value:
            raise SettingError(f"`--set {setting}`: write `--set path=value`, as in `--set optimizer.lr=0.1`")
        found[path] = value
    return found


def text_with(program: Path, settings: Mapping[str, str]) -> str:
    """Returns the text of a program with other values. Raises SettingError."""
    try:
        form = json.loads(program.with_name(f"{program.name}.map.json").read_text(encoding="utf-8"))
        values, aliases, computed = form["settings"], form["aliases"], form["computed"]
        numbers = frozenset(form.get("numbers", ()))
    except (OSError, ValueError, KeyError):
        beside = f"{program.name}.map.json"
        raise SettingError(f"`--set` needs `{beside}` beside the program, as its build wrote it") from None
    lines = program.read_text(encoding="utf-8").split("\n")
    edits: dict[Area, str] = {}  # two paths may lead to one value: the later one counts, as where a path is repeated
    for path, given in settings.items():
        known = canonical(path, aliases)
        found = values.get(known)
        if found is None:
            raise SettingError(f"`--set {path}={given}`: {_unknown(path, values, aliases)}")
        for cells in found:
            area: Area = tuple(cells)
            is_computed = known in computed
            old = _EXAMPLES[computed[known]] if is_computed else _old(lines, area, program)
            edits[area] = _written(path, given, old, has_fractions=known in numbers)
    for area, text in sorted(edits.items(), reverse=True):
        _replace(lines, area, text)
    return "\n".join(lines)


def canonical(path: str, aliases: Mapping[str, str]) -> str:
    """Returns the path under which the map knows what a path names."""
    known = ""
    for word in _STEP.findall(path):
        step = _step(word) if known else word
        numbered = _NUMBERED.fullmatch(step)
        if numbered is not None and known + step not in aliases:
            step = f"[{numbered[1]}]"
        known = aliases.get(known + step, known + step)
    return known


def _step(word: str) -> str:
    """A step as the map has it: `.name`, or `['odd-name']`."""
    quoted = re.fullmatch(r"""\[(["'])(.*)\1\]""", word)
    name = quoted[2] if quoted is not None else word.removeprefix(".")
    if word.startswith("[") and quoted is None:
        return word
    return f".{name}" if name.isidentifier() else f"[{name!r}]"


def _unknown(path: str, values: Mapping[str, Any], aliases: Mapping[str, str]) -> str:
    names = [*values, *(f"{alias}{known[len(target):]}" for alias, target in aliases.items() for known in values
                        if known.startswith(target))]  # fmt: skip
    near = difflib.get_close_matches(path, names, n=1)
    if near:
        return f"the program has no value `{path}`; did you mean `{near[0]}`?"
    return f"the program has no value `{path}`; what only its build needs is set with `fgc build --set`"


def _old(lines: Sequence[str], area: Area, program: Path) -> object:
    """The value that stands in an area."""
    line, column, end_line, end_column = area
    first, *rest = [*lines[line - 1 : end_line - 1], lines[end_line - 1][: end_column - 1]]
    text = "\n".join([first[column - 1 :], *rest])
    if text.isidentifier() and text not in ("None", "True", "False"):
        return ""  # a long text, which is a constant of the module
    try:
        return math.inf if _NOT_FINITE.fullmatch(text) else ast.literal_eval(f"({text})")
    except (ValueError, SyntaxError):
        raise SettingError(f"`{program.name}` was edited since it was built: edit the value there too") from None


def _written(path: str, given: str, old: object, *, has_fractions: bool) -> str:
    """A value in Python, read by the type of the one that it replaces; an integer may stand for any number."""
    try:
        value: object
        match old:
            case bool() | int() | float() if given.lower() in _NONE:
                value = None
            case bool():
                value = boolean(given)
            case int():
                value = _for_integer(given, has_fractions=has_fractions)
            case float():
                value = float(given)
            case None:
                value = _guessed(given)
            case _:
                value = given
    except ValueError:
        kind = _KINDS[type(old)]
        raise SettingError(f"`--set {path}={given}`: `{path}` is {kind}, such as {old!r}; `{given}` is not") from None
    is_finite = not isinstance(value, float) or value - value == 0
    return repr(value) if is_finite else f'float("{value}")'


def _for_integer(given: str, *, has_fractions: bool) -> int | float:
    """A number where an integer stood: `1e3` is one exactly. Raises ValueError for a fraction where none may be."""
    try:
        return int(given)
    except ValueError:
        value = float(given)
    if not math.isfinite(value):
        raise ValueError(given)
    exact = Decimal(given)
    if exact == exact.to_integral_value():
        return int(exact)
    if not has_fractions or value.is_integer():  # `1e-400` is no float, and no integer
        raise ValueError(given)
    return value


def _guessed(given: str) -> object:
    """Reads a value that replaces nothing: a number, a truth value or None if it looks like one, else a text."""
    if given.lower() in _NONE:
        return None
    for read in (int, float, boolean):
        try:
            return read(given)
        except ValueError:
            continue
    return given


def _replace(lines: list[str], area: Area, text: str) -> None:
    """Write a text into an area; lines that it took up stay, empty, so that all others keep their numbers."""
    line, column, end_line, end_column = area
    rest = lines[end_line - 1][end_column - 1 :]
    text = f"({text})" if rest.startswith(".") else text  # `5.real` is no Python
    lines[line - 1] = lines[line - 1][: column - 1] + text + ("" if end_line > line else rest)
    for number in range(line + 1, end_line + 1):
        lines[number - 1] = rest.lstrip() if number == end_line else ""


def _fail(program: str, problem: str) -> NoReturn:
    print(f"{program}: error: {problem}", file=sys.stderr)
    raise SystemExit(2)
