"""The call whose arguments are written at a place.

The lines above show it; where a parent template opens the call, the configuration that draws on the file does.
"""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from fgc.ide.editor import Editor, is_same_file
from fgc.ide.python_names import named_parameters, parameters_of
from fgc.ir import Call, Keyword
from fgc.signatures.signature import Parameter
from fgc.text import Source, Span
from fgc.workspace.selection import Selected

_OPENS = re.compile(r"^(?P<indent>\s*)(?:- )*(?:[\w-]+:\s+)?(?:&[\w.-]+\s+)?!\w+:(?P<callable>[\w./:]+)")
_KEY = re.compile(r"\s*(?P<name>\w+):")
_HEADER = re.compile(r"^\s*\[(?P<name>\w+)!?\]\s*$|^\s*(?:--|<<|>>|\{%[-+]?)\s*block\s+(?P<block>\w+)")
_MAX_LINES = 200


class CallAround(Struct, frozen=True):
    """The parameters that a call takes by name, and the keywords that are given."""

    parameters: Sequence[Parameter] = ()
    given: frozenset[str] = frozenset()


def call_around(editor: Editor, path: str, offset: int, indent: int) -> CallAround:
    """Returns the call in which a line of some depth stands."""
    source = editor.source(path)
    number = source.position(offset).line
    above, opener, block = _above(source, number, indent)
    below = _below(source, number, indent)
    given = {name for _, name in (*above, *below)}
    if opener is not None:
        return CallAround(parameters_of(editor, path, opener, Span(source, 0, 0)), frozenset(given))
    selected = editor.whole(path)
    call = (
        None if selected is None else _in_graph(selected, path, [line for line, _ in (*above, *below)], block, indent)
    )
    if selected is None or call is None:
        return CallAround()
    given |= {keyword.name for keyword in call.keywords if is_same_file(keyword.origin.span.source, path)}
    return CallAround(named_parameters(selected.python_files.look_up(call.callee)), frozenset(given))


def _above(source: Source, number: int, indent: int) -> tuple[list[tuple[int, str]], str | None, str | None]:
    """Returns the keys of the same depth above a line, the callable that opens the call, the block they stand in."""
    keys: list[tuple[int, str]] = []
    is_same = True
    for line_number in range(number - 1, max(0, number - _MAX_LINES), -1):
        line = source.line(line_number)
        header = _HEADER.match(line)
        if header is not None:
            return keys, None, header["name"] or header["block"]
        if not line.strip() or line.lstrip().startswith(("#", "--", "==")):
            continue
        depth = len(line) - len(line.lstrip())
        opens = _OPENS.match(line)
        if is_same and depth < indent and opens is not None:
            return keys, opens["callable"], None
        is_same = is_same and depth >= indent
        key = _KEY.match(line) if is_same and depth == indent else None
        if key is not None:
            keys.append((line_number, key["name"]))
    return keys, None, None


def _below(source: Source, number: int, indent: int) -> list[tuple[int, str]]:
    """Returns the keys of the same depth below a line."""
    keys: list[tuple[int, str]] = []
    for line_number in range(number + 1, min(number + _MAX_LINES, len(source.line_starts)) + 1):
        line = source.line(line_number)
        depth = len(line) - len(line.lstrip())
        if line.strip() and (depth < indent or _HEADER.match(line) is not None):
            break
        key = _KEY.match(line) if depth == indent else None
        if key is not None:
            keys.append((line_number, key["name"]))
    return keys


def _in_graph(selected: Selected, path: str, lines: Sequence[int], block: str | None, indent: int) -> Call | None:
    """Returns the call with most keywords in lines of a file, or in a block at some depth."""
    best, most = None, 0
    for node in selected.compilation.graph.nodes.values():
        if isinstance(node, Call):
            count = sum(1 for _ in _matching(node.keywords, path, lines, block, indent))
            if count > most:
                best, most = node, count
    return best


def _matching(
    keywords: Sequence[Keyword], path: str, lines: Sequence[int], block: str | None, indent: int
) -> Iterator[Keyword]:
    for keyword in keywords:
        span = keyword.origin.span
        is_beside = is_same_file(span.source, path) and span.first.line in lines
        is_of_block = block is not None and keyword.origin.block == block
        if is_beside or (is_of_block and span.first.column == indent + 1):
            yield keyword
