"""A Python file's statements, where the bodies of its definitions are parsed only once somebody asks for them.

A name needs one class of a file that has fifty: parsing takes 0.12 ms per 1,000 characters, finding the ends of
definitions a twentieth of it. Names, decorators, parameters and places are those of the file.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator

from fgc.patterns import regex

_MIN_BODY = 150  # characters: a shorter body is parsed at once
_TEXTS = (
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
    r"|#[^\n]*"
)
_LINE = regex(rf"{_TEXTS}|(\n)[ \t]*(?=[^\s#)\]}}])", re.DOTALL)
_OF_HEADER = regex(rf"{_TEXTS}|([()\[\]{{}}:])", re.DOTALL)
_DEFINITION = regex(r"(?:async[ \t]+def|def|class)\b")
_LINE_END = regex(r"[ \t]*(?:#[^\n]*)?\n")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Outline:
    """The statements of a file; none, if Python cannot parse it. Where an `if` with definitions ends is not told."""

    def __init__(self, text: str, *, is_whole: bool = False) -> None:
        """`is_whole`: all bodies are parsed at once."""
        self._text = text
        self._hollow: dict[ast.stmt, tuple[int, int]] = {}
        bodies = [] if is_whole else list(_bodies(text))
        statements = parsed(_without(text, bodies)) if bodies else None
        ranges = dict(_by_line(text, bodies))
        for node in _definitions(statements or ()):
            if node.lineno in ranges:
                self._hollow[node] = ranges.pop(node.lineno)
        if statements is None or ranges:  # an end that is none: all at once, then
            self._hollow = {}
            statements = parsed(text)
        self.statements = statements or []

    def fill(self, node: ast.AST) -> bool:
        """Gives a definition its body. Returns False if Python cannot parse it."""
        if not isinstance(node, Definition) or node not in self._hollow:
            return True
        start, end = self._hollow[node]
        above = "\n" * (node.lineno - 2) + "if True:\n" if node.col_offset else "\n" * (node.lineno - 1)
        found = parsed(above + self._text[start:end]) or []
        if found and isinstance(found[0], ast.If):
            found = found[0].body
        if len(found) != 1 or not isinstance(found[0], type(node)):
            return False
        whole = found[0]
        node.body, node.end_lineno, node.end_col_offset = whole.body, whole.end_lineno, whole.end_col_offset
        del self._hollow[node]
        return True


def _definitions(statements: Iterable[ast.stmt]) -> Iterator[Definition]:
    """The definitions of a module, also in its conditions and attempts; not those in definitions."""
    for node in statements:
        if isinstance(node, Definition):
            yield node
        elif hasattr(node, "body"):
            for name in ("body", "orelse", "finalbody"):
                yield from _definitions(getattr(node, name, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _definitions(handler.body)


def parsed(text: str) -> list[ast.stmt] | None:
    """The statements of a text; None if Python cannot parse it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SyntaxWarning: somebody else's escapes are not our matter
        try:
            return ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _bodies(text: str) -> Iterator[tuple[int, int, int]]:
    """The outermost definitions of a text: where the line of each begins, where its long body does, where it ends."""
    opened, indent = -1, 0
    lines = [(0, 0), *((found.start() + 1, found.end()) for found in _LINE.finditer(text) if found[1])]
    for start, first in [*lines, (len(text), len(text))]:
        if opened >= 0 and first - start > indent:
            continue
        if opened >= 0 and start - opened > _MIN_BODY:
            body = _header_end(text, opened, start)
            if body is not None and start - body > _MIN_BODY and _LINE_END.match(text, body, start):
                yield opened, body, start
        is_definition = _DEFINITION.match(text, first) is not None
        opened, indent = (start, first - start) if is_definition else (-1, 0)


def _header_end(text: str, start: int, end: int) -> int | None:
    """Returns where the colon of a definition ends."""
    depth = 0
    for found in _OF_HEADER.finditer(text, start, end):
        match found[1]:
            case "(" | "[" | "{":
                depth += 1
            case ")" | "]" | "}":
                depth -= 1
            case ":" if depth == 0:
                return found.end()
            case _:
                pass
    return None


def _without(text: str, bodies: list[tuple[int, int, int]]) -> str:
    """The text with `...` for each body: every line is where it was."""
    parts: list[str] = []
    done = 0
    for _, body, end in bodies:
        parts += [text[done:body], " ...", "\n" * text.count("\n", body, end)]
        done = end
    return "".join([*parts, text[done:]])


def _by_line(text: str, bodies: list[tuple[int, int, int]]) -> Iterator[tuple[int, tuple[int, int]]]:
    """The line of each definition, with where it begins and ends."""
    line, done = 1, 0
    for start, _, end in bodies:
        line += text.count("\n", done, start)
        done = start
        yield line, (start, end)
