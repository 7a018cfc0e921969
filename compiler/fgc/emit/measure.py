"""Measures expressions before they are printed: whether they run code, how wide and how deep they are."""

from fgc.emit.expression import (
    Attribute,
    Constant,
    DictDisplay,
    Expression,
    Formatted,
    Invoke,
    Item,
    Lambda,
    Lines,
    Name,
    parts,
)

_PUNCTUATION = 2  # columns of a bracket pair, a comma with a space, or an operator: close enough for a layout


def has_effect(expression: Expression) -> bool:
    """Returns True if evaluating it may run foreign code, so that the order of evaluation matters."""
    match expression:
        case Invoke() if not expression.is_pure:
            return True
        case Attribute() if not expression.is_pure:
            return True
        case Item():
            return True
        case Lambda():
            return False
        case _:
            # an operator on plain names may run code, and so may a key's hash; otherwise the parts decide
            return _runs_code(expression) or any(has_effect(part) for part in parts(expression))


def _runs_code(expression: Expression) -> bool:
    return type(expression).__name__ in ("Unary", "Binary")


def is_atom(expression: Expression) -> bool:
    """Returns True if it can be repeated or evaluated later without any difference."""
    is_read = isinstance(expression, Attribute) and expression.is_pure and expression.node is not None
    return is_read or isinstance(expression, Name | Constant | Lines | Formatted)


def width(expression: Expression) -> int:
    """Returns the approximate number of columns on one line."""
    match expression:
        case Name() | Constant():
            return len(expression.text)
        case Lines():
            return sum(len(piece) for piece in expression.pieces)
        case Formatted():
            return 3 + sum(len(part) if isinstance(part, str) else width(part) + 2 for part in expression.parts)
        case Attribute():
            return width(expression.value) + 1 + len(expression.name)
        case Invoke():
            names = sum(len(argument.keyword or "") + 1 for argument in expression.arguments)
            return names + sum(width(part) + _PUNCTUATION for part in parts(expression))
        case _:
            return _PUNCTUATION + sum(width(part) + _PUNCTUATION for part in parts(expression))


def depth(expression: Expression) -> int:
    """Returns the depth of nested brackets."""
    inner = max((depth(part) for part in parts(expression)), default=0)
    return inner if is_atom(expression) or isinstance(expression, Attribute) else inner + 1


def call_depth(expression: Expression) -> int:
    """Returns the depth of nested calls."""
    inner = max((call_depth(part) for part in parts(expression)), default=0)
    return inner + 1 if isinstance(expression, Invoke) else inner


def is_plain_data(expression: Expression) -> bool:
    """Returns True if it consists only of literals and of lists and mappings of them."""
    if isinstance(expression, Invoke | Lambda | Item | Name):
        return False
    return all(is_plain_data(part) for part in parts(expression))


def line_count(expression: Expression) -> int:
    """Returns the approximate number of lines of a display with one item per line."""
    if isinstance(expression, DictDisplay) and width(expression) > 60:
        return 2 + sum(line_count(value) for _, value in expression.pairs)
    return 1 + width(expression) // 88
