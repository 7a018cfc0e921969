"""Binding strengths of expressions, which decide where parentheses are needed."""

from fgc.emit.expression import Attribute, Binary, Conditional, Constant, Expression, Invoke, Item, Lambda, Unary

LAMBDA, CONDITIONAL, EITHER, NOT, COMPARISON = range(5)
OR, XOR, AND, SHIFT, SUM, PRODUCT, SIGN, POWER, NUMBER, PRIMARY, ATOM = range(5, 16)
ARGUMENT = LAMBDA  # no argument or item needs parentheses

_LEVELS = {
    "or": EITHER, "|": OR, "^": XOR, "&": AND, "<<": SHIFT, ">>": SHIFT, "+": SUM, "-": SUM,
    "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT, "@": PRODUCT, "**": POWER,
}  # fmt: skip


def level(value: Expression) -> int:
    """Returns the binding strength of an expression's outermost part."""
    match value:
        case Lambda():
            return LAMBDA
        case Conditional():
            return CONDITIONAL
        case Unary(operator):
            return NOT if operator == "not" else SIGN
        case Binary(_, operator, _):
            return _LEVELS.get(operator, COMPARISON)
        case Constant(text, _, is_signed):
            # `5.real` is a syntax error: a number needs parentheses before a dot
            return SIGN if is_signed else NUMBER if text[0].isdigit() else ATOM
        case Attribute() | Item() | Invoke():
            return PRIMARY
        case _:
            return ATOM


def operand_levels(value: Unary | Binary) -> tuple[int, ...]:
    """Returns, for each operand, the lowest level that needs no parentheses."""
    own = level(value)
    match value:
        case Unary():
            return (own,)
        case Binary(_, "**", _):
            return (NUMBER, SIGN)
        case _ if own == COMPARISON:
            return (own + 1, own + 1)
        case _:
            return (own, own + 1)
