"""Wraps docstrings and comments of generated text to the width of its code, which Black does not do.

Component files and descriptions are written for other widths. A paragraph is filled again only if a line of it is too
long. One with further indented lines is a table or a formula, and is not changed.
"""

import ast
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from fgc.patterns import regex

_QUOTES = ('"""', "'''")
_TOGETHER = regex(r" [/*<>=+-]{1,2} |\b(?:eq\.|sections?) (?=\d)")  # in a formula or a reference
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
    """Yields docstrings as ranges of lines, with the indentation of their lines."""
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
    """Yields runs of whole-line comments with equal indentation."""
    start = 0
    for end in range(1, len(lines) + 1):
        before = _comment_indent(lines, end - 1, texts)
        if end == len(lines) or _comment_indent(lines, end, texts) != before:
            if before is not None:
                yield start, end, "# "
            start = end


def _comment_indent(lines: Sequence[str], number: int, texts: set[int]) -> int | None:
    """Returns the indentation of a comment line that is for people; None for any other line."""
    bare = lines[number].lstrip()
    is_comment = bare.startswith("# ") and not bare.startswith(_FOR_TOOLS) and number not in texts
    return len(lines[number]) - len(bare) if is_comment else None


def _within_texts(tree: ast.Module) -> set[int]:
    """Returns the lines inside strings of several lines."""
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr))
    return {line for text in texts for line in range(text.lineno - 1, (text.end_lineno or 0)) if _is_long(text)}


def _is_long(node: ast.expr) -> bool:
    return node.end_lineno is not None and node.end_lineno > node.lineno


def _filled_paragraphs(lines: list[str], width: int, mark: str) -> list[str]:
    """Returns the lines of one docstring or run of comments, with long paragraphs filled."""
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
