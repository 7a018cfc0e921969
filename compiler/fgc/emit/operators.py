"""Writes calls of builtin helpers and of `operator` as the operators and expressions that they stand for.

A call that does not have the plain form of its operator stays a call, so that it behaves exactly like the function.
"""

from collections.abc import Sequence

from msgspec import Struct

from fgc.emit.expression import (
    Argument,
    Attribute,
    Binary,
    Constant,
    DictDisplay,
    Expression,
    Formatted,
    Invoke,
    Item,
    Lambda,
    Lines,
    ListDisplay,
    Name,
    TupleDisplay,
    Unary,
)
from fgc.emit.imports import Imports
from fgc.emit.literal import string
from fgc.emit.measure import has_effect
from fgc.emit.names import is_identifier
from fgc.ir import DISPLAYS, VIEWS, NodeId, Symbol, SymbolKind

_BINARY = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and_": "&", "or_": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "is_": "is", "is_not": "is not",
}  # fmt: skip
_UNARY = {"neg": "-", "pos": "+", "invert": "~", "inv": "~", "not_": "not"}


class EvaluatedArguments(Struct, frozen=True):
    """The evaluated arguments of a call; keywords are strings, not always identifiers."""

    positional: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...]

    def written(self) -> tuple[Argument, ...]:
        """Returns the arguments as written in a call; keywords that are not identifiers are spread from a mapping."""
        written = [Argument(value) for value in self.positional]
        odd: list[tuple[Expression | None, Expression]] = []
        for name, value in self.keywords:
            if is_identifier(name):
                if odd:
                    written.append(Argument(DictDisplay(tuple(odd)), star="**"))
                    odd = []
                written.append(Argument(value, keyword=name))
            else:
                odd.append((string(name), value))
        if odd:
            written.append(Argument(DictDisplay(tuple(odd)), star="**"))
        return tuple(written)


def callee(symbol: Symbol, imports: Imports) -> Expression:
    """Returns a callable as a value, for `functools.partial` and for calls that are not operators."""
    if symbol.kind is not SymbolKind.BUILTIN:
        return imports.callable(symbol)
    name = symbol.attribute
    if name in DISPLAYS:
        return Name(DISPLAYS[name].__name__)
    if name in VIEWS:
        maker = Attribute(Name(imports.module("operator")), "methodcaller", is_pure=True)
        return Invoke(maker, (Argument(string(name)),), is_pure=True)
    if name in ("getitem", "call"):
        return Attribute(Name(imports.module("operator")), name, is_pure=True)
    return imports.builtin(name)


def is_display_of_items(symbol: Symbol, positional: Sequence[object]) -> bool:
    """Returns True if a call is a literal list or tuple, with the items in its only argument."""
    is_collection = symbol.kind is SymbolKind.BUILTIN and DISPLAYS.get(symbol.attribute) in (list, tuple)
    return is_collection and len(positional) == 1


def call(symbol: Symbol, given: EvaluatedArguments, imports: Imports, node: NodeId) -> Expression:
    """Returns the expression for a call."""
    special: Expression | None = None
    if symbol.kind is SymbolKind.BUILTIN:
        special = _builtin(symbol.attribute, given, node)
    elif symbol.container == "operator" and symbol.kind is SymbolKind.MODULE:
        special = _operator(symbol.attribute, given, node)
    return special or Invoke(callee(symbol, imports), given.written(), node)


def _builtin(name: str, given: EvaluatedArguments, node: NodeId) -> Expression | None:
    match name, given.positional:
        case "call", (function, *rest) if not _is_written_out(function):
            return Invoke(function, EvaluatedArguments(tuple(rest), given.keywords).written(), node)
        case "named_dict" | "dict", ():
            return DictDisplay(tuple((string(key), value) for key, value in given.keywords), node)
        case _ if given.keywords:
            return None
        case "items" | "keys" | "values", (value,):
            return Invoke(Attribute(value, name), (), node)
        case "getitem", (value, index) if _can_be_indexed(value, index):
            return Item(value, index, node)
        case "getattr", (value, Constant() as attribute):
            return _attribute(value, attribute, node)
        case ("named_list" | "list", ()):
            return ListDisplay((), node)
        case ("named_tuple" | "tuple", ()):
            return TupleDisplay((), node)
        case ("named_list", (ListDisplay() as display,)):
            return ListDisplay(display.items, node)
        case ("named_tuple", (ListDisplay() as display,)):
            return TupleDisplay(display.items, node)
        case _:
            return None


def _attribute(value: Expression, attribute: Constant, node: NodeId) -> Expression | None:
    name = attribute.text.strip("\"'")
    return Attribute(value, name, node) if is_identifier(name) and attribute.text[0] in "\"'" else None


def _operator(name: str, given: EvaluatedArguments, node: NodeId) -> Expression | None:
    match name, given.positional:
        case "call", (function, *rest) if not _is_written_out(function):
            return Invoke(function, EvaluatedArguments(tuple(rest), given.keywords).written(), node)
        case _ if given.keywords:
            return None
        case "getitem", (value, index) if _can_be_indexed(value, index):
            return Item(value, index, node)
        case "truth", (value,):
            return Invoke(Name("bool"), (Argument(value),), node)
        case "contains", (container, item) if not (has_effect(container) and has_effect(item)):
            return Binary(item, "in", container, node)
        case _, (left, right) if name in _BINARY and not _is_questionable(name, given.positional):
            return Binary(left, _BINARY[name], right, node)
        case _, (operand,) if name in _UNARY:
            return Unary(_UNARY[name], operand, node)
    return None


def _is_written_out(value: Expression) -> bool:
    """Returns True for a literal or a display, which Python warns about if it is called or indexed."""
    return isinstance(value, Constant | Lines | Formatted | ListDisplay | TupleDisplay | DictDisplay | Lambda)


def _can_be_indexed(value: Expression, index: Expression) -> bool:
    if isinstance(value, ListDisplay | TupleDisplay):
        return isinstance(index, Constant) and index.text.lstrip("-").replace("_", "").isdigit()
    return isinstance(value, DictDisplay) or not _is_written_out(value)


def _is_questionable(name: str, operands: Sequence[Expression]) -> bool:
    """Returns True if Python or ruff would warn: `is` with a literal, `== None`, a wrong format string."""
    if name in ("is_", "is_not"):
        return any(not isinstance(operand, Name) for operand in operands)
    if name in ("eq", "ne"):
        return any(isinstance(operand, Constant) and operand.text in ("None", "True", "False") for operand in operands)
    return name == "mod" and _is_written_out(operands[0])
