"""Says what matters about an expression before it is printed: does it run code, how wide and how deep is it."""

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

_PUNCTUATION = 2  # a bracket pair, a comma and a space, an operator: close enough to decide a layout


def has_effect(expression: Expression) -> bool:
    """Returns whether evaluating it may run code of others, so that its place in the order matters."""
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
            # an operator on plain names may run code too, and so may a key's hash: calls inside decide the rest
            return _runs_code(expression) or any(has_effect(part) for part in parts(expression))


def _runs_code(expression: Expression) -> bool:
    return type(expression).__name__ in ("Unary", "Binary")


def is_atom(expression: Expression) -> bool:
    """Returns whether it can be written twice, or evaluated later, and nobody could tell."""
    is_read = isinstance(expression, Attribute) and expression.is_pure and expression.node is not None
    return is_read or isinstance(expression, Name | Constant | Lines | Formatted)


def width(expression: Expression) -> int:
    """About how many columns it takes on one line."""
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
    """Returns how many brackets are open at the deepest place."""
    inner = max((depth(part) for part in parts(expression)), default=0)
    return inner if is_atom(expression) or isinstance(expression, Attribute) else inner + 1


def call_depth(expression: Expression) -> int:
    """Returns how many calls are nested in one another."""
    inner = max((call_depth(part) for part in parts(expression)), default=0)
    return inner + 1 if isinstance(expression, Invoke) else inner


def is_plain_data(expression: Expression) -> bool:
    """Returns whether it is written out entirely: literals, lists and mappings of them."""
    if isinstance(expression, Invoke | Lambda | Item | Name):
        return False
    return all(is_plain_data(part) for part in parts(expression))


def line_count(expression: Expression) -> int:
    """About how many lines a display takes when each item stands on its own line."""
    if isinstance(expression, DictDisplay) and width(expression) > 60:
        return 2 + sum(line_count(value) for _, value in expression.pairs)
    return 1 + width(expression) // 88
