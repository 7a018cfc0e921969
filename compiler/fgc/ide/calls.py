"""The call whose arguments are written at a place.

The texts around show it, also where a parent template opens the call; where a name of a template is computed, the
configuration that draws on the file does.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from fgc.ide.editor import Editor, is_same_file
from fgc.ide.enclosing import Keys
from fgc.ide.python_names import named_parameters, parameters_of
from fgc.ir import Call, Keyword
from fgc.patterns import regex
from fgc.signatures.signature import Parameter
from fgc.text import Span
from fgc.workspace.selection import Selected

_ANCHOR = r"&[^\s\[\]{},&]+"
OPENS = regex(rf"(?:{_ANCHOR}\s+)?!\w+:(?P<callable>[\w./:]+)(?:\s+{_ANCHOR})?")


class CallAround(Struct, frozen=True):
    """The parameters that a call takes by name, and the keywords that are given."""

    parameters: Sequence[Parameter] = ()
    given: frozenset[str] = frozenset()


def call_around(editor: Editor, path: str, keys: Keys, indent: int) -> CallAround:
    """Returns the call in which a line with some keys around and beside it stands."""
    given = frozenset(name for _, name in keys.beside)
    if keys.around:
        opens = OPENS.match(keys.around[0].behind)
        return CallAround() if opens is None else call_of(editor, path, opens["callable"], given)
    selected = editor.whole(path)
    call = None if selected is None else _in_graph(selected, path, keys, indent)
    if selected is None or call is None:
        return CallAround()
    given |= {keyword.name for keyword in call.keywords if is_same_file(keyword.origin.span.source, path)}
    return CallAround(named_parameters(selected.python_files.look_up(call.callee)), given)


def call_of(editor: Editor, path: str, callable: str, given: frozenset[str]) -> CallAround:
    """Returns the call of a callable, by its name in a tag."""
    return CallAround(parameters_of(editor, path, callable, Span(editor.source(path), 0, 0)), given)


def _in_graph(selected: Selected, path: str, keys: Keys, indent: int) -> Call | None:
    """Returns the call with most keywords beside a line, or in its block at its depth."""
    lines = [number for number, _ in keys.beside]
    best, most = None, 0
    for node in selected.compilation.graph.nodes.values():
        if isinstance(node, Call):
            count = sum(1 for _ in _matching(node.keywords, path, lines, keys.block, indent))
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
