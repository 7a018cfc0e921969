"""Operations on variables from outside that stay open: arithmetic, comparisons, and a choice between two scalars.

The program computes them with the same operators, on values of the same types, so running with a value is building
with it.
"""

from typing import Any

from fgc.resolve.mapped import NOWHERE, MappedText
from fgc.resolve.needs import Given, from_outside
from fgc.syntax import ast
from fgc.text import ARITHMETIC, DeferredConstant, DeferredOperation, FromOutside, Piece, is_too_long

_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}


def computed(operator: str, operands: tuple[Any, ...], value: Any) -> Any:
    """Returns the value of arithmetic or of a comparison as an open one; None if it has to be known now."""
    if operator in ARITHMETIC and not all(map(_is_number, operands)):
        return None
    if operator not in ARITHMETIC and operator not in _COMPARISONS and operator != "not":
        return None
    return _open_value(operator, operands, value)


def applied(function: str, operands: tuple[Any, ...], value: Any) -> Any:
    """Returns what a filter makes of numbers as an open value; None if it has to be known now."""
    return _open_value(function, operands, value) if all(map(_is_number, operands)) else None


def chosen(then: Any, condition: Given, otherwise: Any) -> Any:
    """Returns one of two scalars, still open; None if they are none."""
    return _open_value("if", (then, condition, otherwise), known(then if condition.value else otherwise))


def is_harmless(expr: ast.Expr) -> bool:
    """Returns True if an expression may be evaluated although its branch is not taken: it calls nothing."""
    match expr:
        case ast.Const() | ast.Name():
            return True
        case ast.GetAttr(base=base):
            return is_harmless(base)
        case ast.FilterExpr(base=base, filter=filter) if filter.name in ("default", "d"):
            return is_harmless(base) and all(map(is_harmless, filter.arguments.positional))
        case ast.Unary(operand=operand):
            return is_harmless(operand)
        case ast.Binary(left=left, right=right):
            return is_harmless(left) and is_harmless(right)
        case ast.Conditional(then=then, condition=condition, otherwise=otherwise):
            return all(part is not None and is_harmless(part) for part in (then, condition, otherwise))
        case _:
            return False


def _open_value(operator: str, operands: tuple[Any, ...], value: Any) -> Any:
    parts = [_operand(operand) for operand in operands]
    present = [part for part in parts if part is not None]
    if len(present) < len(parts) or not any(isinstance(part, FromOutside) for part in present):
        return None
    expression = DeferredOperation(operator, tuple(present), known(value))
    if is_too_long(expression):
        return None
    if isinstance(value, str):
        return MappedText([Piece(value, NOWHERE, False, expression)]) if value else None
    return Given(value, expression)


def _operand(value: Any) -> FromOutside | DeferredConstant | None:
    outside = from_outside(value)
    if outside is not None:
        return outside
    if isinstance(value, MappedText) and value.is_deferred:
        return None
    return DeferredConstant(known(value)) if isinstance(value, (bool, int, float, str, type(None))) else None


def known(value: Any) -> Any:
    """Returns a scalar as it is now."""
    if isinstance(value, Given):
        return value.value
    return str.__str__(value) if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return isinstance(known(value), (int, float)) and not isinstance(known(value), bool)
