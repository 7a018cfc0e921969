"""Values to the text that printing writes, and to what a reader of that text should find again.

A value has a written form unless Python shows it as `<...>`: functions, methods, generators and the like. Their text
says nothing that a configuration could mean, and often differs from run to run.
"""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from jinja2.runtime import Undefined
from jinja2.utils import Namespace

from fgc.diagnostics import Diagnostic
from fgc.patterns import regex
from fgc.resolve.failures import described
from fgc.resolve.macros import BlockReference, Macro, SelfReference, TemplateModule
from fgc.syntax import ast
from fgc.text import Origin, Piece, Printed, Span

_MAX_ITEMS = 10_000  # of a container that is searched
_PLAIN = (str, bool, int, float, type(None))
_VIEWS = (KeysView, ValuesView, ItemsView)
_COLLECTIONS = (list, tuple, set, frozenset, Mapping, range, *_VIEWS)
# what they make of a value without a written form is a text like any other: it must be found before
_TEXT_FILTERS = frozenset(
    (
        *("string", "upper", "lower", "capitalize", "title", "trim", "replace", "center", "indent", "truncate"),
        *("wordwrap", "escape", "e", "forceescape", "safe", "striptags", "urlencode", "format", "join", "toyaml"),
        "pprint",
    )
)
_MAY_CHANGE = regex(r"""[#\\"'&!|>%@`*?-]|:\s|:\Z|\n""")  # what YAML gives a meaning in a text


def unwritten(value: Any, span: Span) -> Diagnostic | None:
    """The finding that a value, which becomes a text at `span`, has no written form; None if it has one."""
    if isinstance(value, _PLAIN):
        return None  # nearly all values
    found = _unwritable(value)
    if found is None:
        return None
    shown = span.text.strip()
    verb = "is" if found is value else "holds"
    message = f"`{shown}` {verb} {_named(found)}, which has no text to print"
    return Diagnostic("FGC218", message, span, help=_help(found, shown, value))


def takes_text_of(filter: ast.Filter, value: Any) -> bool:
    """Returns True if a filter looks at the text of a value."""
    return filter.name in _TEXT_FILTERS and not (filter.name == "join" and isinstance(value, Iterator))


def printed(value: Any, pieces: tuple[Piece, ...], origin: Origin) -> tuple[Piece, ...]:
    """The pieces of a printed value, with the value where YAML may read another one."""
    if isinstance(value, str) and not value and not pieces:
        return (Piece("", origin, False, printed=Printed("")),)
    if isinstance(value, str):
        return tuple([piece if piece.is_literal else _with_text(piece) for piece in pieces])
    if isinstance(value, (bool, int, Undefined)) or len(pieces) != 1:
        return pieces
    piece = pieces[0]
    if isinstance(value, (float, type(None), *_COLLECTIONS)):
        return (Piece(piece.text, piece.origin, piece.is_literal, piece.deferred, Printed(value)),)
    return (_with_text(piece),)


def _with_text(piece: Piece) -> Piece:
    if (
        piece.is_literal
        or piece.is_broken
        or piece.printed is not None
        or (piece.text and not _MAY_CHANGE.search(piece.text))
    ):
        return piece
    return Piece(piece.text, piece.origin, False, piece.deferred, Printed(piece.text), piece.outdented)


def _unwritable(value: Any) -> Any:
    """The first part of a value without a written form, or None."""
    stack = [value]
    for _ in range(_MAX_ITEMS):
        if not stack:
            return None
        item = stack.pop()
        if isinstance(item, (*_PLAIN, Undefined, range)):
            continue
        if isinstance(item, Mapping):
            stack += [part for pair in item.items() for part in pair][::-1]
        elif isinstance(item, _COLLECTIONS):
            stack += list(item)[::-1]
        elif (text := str(item)).startswith("<") and text.endswith(">"):
            return item
    return None


def _named(value: Any) -> str:
    name = getattr(value, "__name__", None)
    match value:
        case Macro():
            return "a macro"
        case BlockReference():
            return "a block"
        case SelfReference():
            return "the template itself"
        case TemplateModule():
            return "an imported template"
        case Namespace():
            return "a namespace"
        case type():
            return f"the type `{value.__name__}`"
        case Iterator():
            return "a generator" if type(value).__name__ == "generator" else described(value)
        case _ if callable(value) and getattr(value, "__self__", None) is not None:
            return f"the method `{name}`" if name else "a method"
        case _:
            return "a function" if callable(value) else described(value)


def _help(value: Any, shown: str, whole: Any) -> str:
    owner, name = getattr(value, "__self__", None), getattr(value, "__name__", "")
    if isinstance(owner, Mapping) and name in owner:
        return f"it is the method of every mapping; the key is read by `[{name!r}]`"
    if isinstance(value, (Namespace, TemplateModule, SelfReference)):
        return f"print what is in it, such as `{shown}.name`"
    if isinstance(value, Iterator):
        return f"make it a list: `{shown} | list`"
    if callable(value):
        return f"call it: `{shown}()`" if value is whole else "call it, or leave it out"
    return "print something that is a text, a number or a list"
