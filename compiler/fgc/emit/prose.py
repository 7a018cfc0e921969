"""Docstrings and comments of generated text to the width of its code: Black leaves both as they are.

Component files and descriptions are written for other widths. A paragraph is filled anew only if a line of it is too
long; one with lines that are indented further is a table or a formula, and is left alone.
"""

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

_QUOTES = ('"""', "'''")
_TOGETHER = re.compile(r" [/*<>=+-]{1,2} |\b(?:eq\.|sections?) (?=\d)")  # a formula, a place in a paper
_BOUND = "\0"
_FOR_TOOLS = ("# ruff:", "# mypy:", "# type:", "# noqa", "# pragma", "# fmt:", "#!")


def filled(text: str, width: int) -> str:
    """Returns the text with its long docstrings and comments filled to `width` columns."""
    lines = text.split("\n")
    if not any(len(line) > width for line in lines):
        return text
    tree = ast.parse(text)
    found = [*_docstrings(tree), *_comments(lines, _within_texts(tree))]
    for first, last, mark in sorted(found, reverse=True):
        lines[first:last] = _filled_paragraphs(lines[first:last], width, mark)
    return "\n".join(lines)


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int, str]]:
    """Returns where docstrings stand, as a slice of lines, and what each of their lines begins with."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Module(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
                | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
                | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
            ):
                yield docstring.lineno - 1, docstring.end_lineno or docstring.lineno, ""
            case _:
                pass


def _comments(lines: Sequence[str], texts: set[int]) -> Iterator[tuple[int, int, str]]:
    """Runs of whole-line comments of one indentation."""
    start = 0
    for end in range(1, len(lines) + 1):
        before = _comment_indent(lines, end - 1, texts)
        if end == len(lines) or _comment_indent(lines, end, texts) != before:
            if before is not None:
                yield start, end, "# "
            start = end


def _comment_indent(lines: Sequence[str], number: int, texts: set[int]) -> int | None:
    """Returns how far a line that is a comment for people is indented; None for another line."""
    bare = lines[number].lstrip()
    is_comment = bare.startswith("# ") and not bare.startswith(_FOR_TOOLS) and number not in texts
    return len(lines[number]) - len(bare) if is_comment else None


def _within_texts(tree: ast.Module) -> set[int]:
    """The lines that hold a part of a text of several lines."""
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr))
    return {line for text in texts for line in range(text.lineno - 1, (text.end_lineno or 0)) if _is_long(text)}


def _is_long(node: ast.expr) -> bool:
    return node.end_lineno is not None and node.end_lineno > node.lineno


def _filled_paragraphs(lines: list[str], width: int, mark: str) -> list[str]:
    """The lines of one docstring or run of comments, with long paragraphs filled."""
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())] + mark
    is_paragraph = [bool(line.strip()) and line.strip() not in _QUOTES for line in lines]
    result: list[str] = []
    for is_text, group in groupby(zip(is_paragraph, lines, strict=True), key=itemgetter(0)):
        paragraph = [line for _, line in group]
        result += _filled_paragraph(paragraph, width, indent) if is_text else paragraph
    quotes = result[-1][-3:]
    if len(result) > len(lines) == 1 and not mark and quotes in _QUOTES:
        return [*result[:-1], result[-1].removesuffix(quotes), indent + quotes]
    return result


def _filled_paragraph(lines: list[str], width: int, indent: str) -> list[str]:
    texts = [line[len(indent) :] for line in lines]
    is_prose = all(line.startswith(indent) for line in lines) and not any(text.startswith(" ") for text in texts)
    if not is_prose or all(len(line) <= width for line in lines):
        return lines
    bound = _TOGETHER.sub(lambda found: found[0].replace(" ", _BOUND), " ".join(texts))
    wrapped = textwrap.wrap(bound, width - len(indent), break_long_words=False, break_on_hyphens=False)
    return [indent + line.replace(_BOUND, " ") for line in wrapped]
