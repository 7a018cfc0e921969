"""Literals and annotations to whether the one clearly excludes the other; any doubt is in favour of the literal."""

import ast
from collections.abc import Sequence

from fgc.ir import DictNode, ListNode, Literal, Node
from fgc.signatures import TypeName

_PLAIN = {"int", "float", "str", "bool", "None"}
_NUMBERS = {"int", "float", "bool", "complex"}


def excluded_by(annotation: str | None, node: Node) -> str | None:
    """Returns what the literal is, if the annotation has no room for it; else None."""
    types = plain_types(annotation)
    if not types:
        return None
    match node:
        case ListNode():
            return "a list"
        case DictNode():
            return "a mapping"
        case Literal(value=str()):
            return None if "str" in types else "a text"
        case Literal(value=bool()) | Literal(value=None):
            return None  # many a library says `int` and means that, or None
        case Literal(value=int()):
            return None if types & _NUMBERS else "a number"
        case Literal(value=float(value)):
            fits = "float" in types or (types & _NUMBERS and value.is_integer())
            return None if fits else "a number with a fraction" if types & _NUMBERS else "a number"
        case _:
            return None


def type_excluded_by(annotation: str | None, types: Sequence[TypeName]) -> str | None:
    """Returns what a value of one of these types is, if the annotation has no room for any of them; else None."""
    plain = plain_types(annotation)
    if not plain or not types or any(_may_fit(item, plain) for item in types):
        return None
    return " or ".join(f"{article(item.name)} `{item.name}`" for item in types)


def article(name: str) -> str:
    """`an` before a vowel."""
    return "an" if name[:1].lower() in tuple("aeio") else "a"


def _may_fit(item: TypeName, plain: set[str]) -> bool:
    bases = {name.removeprefix("builtins.") for name in item.bases}
    is_number = bases & _NUMBERS or set(item.conversions) & {"__float__", "__int__", "__index__"}
    if item.is_open or "bool" in plain or item.name == "None":  # anything is true or false
        return True
    if plain & _NUMBERS and is_number:
        return True
    return "str" in plain and ("str" in bases or "__fspath__" in item.conversions)


def plain_types(annotation: str | None) -> set[str]:
    """The plain types that an annotation allows; nothing if it allows any other."""
    if annotation is None:
        return set()
    try:
        return _names(ast.parse(annotation, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return set()


def _names(node: ast.expr) -> set[str]:
    match node:
        case ast.Name(id=name) if name in _PLAIN:
            return {name}
        case ast.Constant(value=None):
            return {"None"}
        case ast.Constant(value=str(text)):
            return plain_types(text)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _all(left, right)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            if name == "Optional":
                return _names(inner)
            return _all(*inner.elts) if name == "Union" and isinstance(inner, ast.Tuple) else set()
        case _:
            return set()


def _all(*nodes: ast.expr) -> set[str]:
    found = [_names(node) for node in nodes]
    return set().union(*found) if all(found) else set()
