"""Regular expressions that read texts of others take linear time, whatever a line holds.

A matcher that backtracks as Python's does counts its steps on texts of one or two repeated characters, in the whole
pattern and in every tail of it. Twice the text may take twice the steps; four times would be quadratic.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import permutations
from pathlib import Path
from re import _parser

import fgc
import pytest
from fgc.patterns import LazyPattern

from tests.steps import TooManySteps, letters, steps_of, tails

ROOMS = [module.name for module in pkgutil.iter_modules(fgc.__path__) if module.name != "__main__"]
_LENGTH = 16
_MOST = 3.0  # times the steps for twice the text; with so short texts, quadratic is 3.4 and more
_SCANS = {"search", "finditer", "findall", "sub", "subn", "split"}


@cache
def _methods(path: str) -> dict[str, set[str]]:
    """The methods that a file calls on each name."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, set()).add(node.attr)
    return found


def _patterns(room: str) -> Iterator[tuple[str, re.Pattern[str], set[str]]]:
    package = importlib.import_module(f"fgc.{room}")
    inside = pkgutil.walk_packages(getattr(package, "__path__", ()), f"fgc.{room}.")
    for module in (package.__name__, *(module.name for module in inside)):
        namespace = vars(importlib.import_module(module))
        yield from _written(module, namespace["__file__"])
        methods = _methods(namespace["__file__"])
        for name, value in namespace.items():
            if isinstance(value, (LazyPattern, re.Pattern)) and isinstance(value.pattern, str) and name in methods:
                yield f"{module}.{name}", re.compile(value.pattern, value.flags), methods[name]


def _written(module: str, path: str) -> Iterator[tuple[str, re.Pattern[str], set[str]]]:
    """The patterns that a file gives to functions of `re` as they are."""
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=method), args=[ast.Constant(value=str(text)), _, *_]
            ) if method != "compile":
                yield f"{module}:{node.lineno}", re.compile(text), {method}


def _assigned(path: Path) -> Iterator[tuple[str, re.Pattern[str], set[str]]]:
    """The patterns of a file that is not loaded: those whose text stands there whole."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr="compile")) as call):
                with suppress(NameError):  # of a part with a name
                    pattern = eval(ast.unparse(call), {"re": re})
                    yield f"{path.name}:{name}", pattern, _methods(str(path)).get(name, {"search"})


def growth(pattern: re.Pattern[str], methods: set[str]) -> tuple[float, str]:
    """Returns how many times more steps a text of twice the length takes, at worst, and what that text repeats."""
    parts = list(_parser.parse(pattern.pattern, pattern.flags))
    signs = sorted(letter for letter in letters(parts) | set(" \n") if not letter.isalpha() or letter == "a")
    units = [*signs, *("".join(pair) for pair in permutations(signs[:4], 2))]
    worst = (0.0, "")
    for number, tail in enumerate(tails(parts)):
        scans = number == 0 and bool(methods & _SCANS)
        for unit in units:
            text, is_full = unit * 2 * _LENGTH, "fullmatch" in methods
            try:
                short = steps_of(pattern, tail, f"{text[:_LENGTH]}!", scans=scans, is_full=is_full)
                if short > 3 * _LENGTH:
                    long = steps_of(pattern, tail, f"{text[: 2 * _LENGTH]}!", scans=scans, is_full=is_full)
                    worst = max(worst, (long / short, unit))
            except TooManySteps:
                return 99.0, unit
    return worst


@pytest.mark.parametrize("room", ROOMS)
def test_no_pattern_takes_quadratic_time(room: str) -> None:
    slow = {name: growth(pattern, methods) for name, pattern, methods in _patterns(room)}
    assert {name: worst for name, worst in slow.items() if worst[0] > _MOST} == {}


def test_no_pattern_of_the_runtime_takes_quadratic_time() -> None:
    slow = {}
    for path in sorted((Path(__file__).parents[2] / "runtime").rglob("*.py")):
        for name, pattern, methods in (*_assigned(path), *_written(path.name, str(path))):
            slow[name] = growth(pattern, methods)
    assert {name: worst for name, worst in slow.items() if worst[0] > _MOST} == {} and len(slow) > 30


@pytest.mark.parametrize(
    ("pattern", "method", "is_slow"),
    [
        (r"\s*=?\s*b", "match", True),
        (r"\s*+=?\s*+b", "match", False),
        (r"\s+b", "search", True),
        (r"(?<!\s)\s+b", "search", False),
        (r"(a+)+b", "match", True),
        (r"x(?:y|\d*\d*)b", "match", True),
        (r"[^\n]*?##+\s*b", "search", True),
    ],
)
def test_growth_tells_quadratic_from_linear(pattern: str, method: str, is_slow: bool) -> None:
    assert (growth(re.compile(pattern), {method})[0] > _MOST) is is_slow
