"""The values that a model's parts are made of: constants, configuration fields, and constructions of other parts.

Values compare by meaning, not by place: parts with equal descriptions become one class.
"""

from collections.abc import Iterator
from typing import TypeAlias, assert_never

from msgspec import Struct

from fgc.emit.model.components import Definition
from fgc.ir import Scalar, Symbol

_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**"}
OPERATORS = _ARITHMETIC | {"getitem": "[]"}


class Constant(Struct, frozen=True, eq=False):
    """A scalar, as Python writes it: `1` and `True` differ."""

    text: str
    value: Scalar

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @staticmethod
    def of(value: Scalar) -> "Constant":
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            return Constant(f'float("{value}")', value)
        text = repr(value)
        return Constant(text.replace("e-0", "e-") if isinstance(value, float) else text, value)


class Field(Struct, frozen=True):
    """A field of the model's configuration: `!var name`."""

    name: str


class Items(Struct, frozen=True):
    """A list."""

    items: "tuple[Value, ...]"


class ConstantTable(Struct, frozen=True):
    """A mapping with constant keys."""

    entries: "tuple[tuple[Constant, Value], ...]"


class Operation(Struct, frozen=True):
    """Two values joined by an operator of Python."""

    operator: str
    left: "Value"
    right: "Value"


class LibraryCallable(Struct, frozen=True):
    """A callable of an installed package: `torch.nn:Linear`."""

    module: str
    attribute: str


class PartConstruction(Struct, frozen=True, eq=False):
    """A part to construct. `is_partial`: its receiver constructs it, perhaps with more arguments.

    Arguments of a component have the names of its parameters; those of a library callable are as written.
    """

    target: Definition | LibraryCallable
    is_partial: bool
    positional: "tuple[Value, ...]"
    keywords: "tuple[tuple[str, Value], ...]"
    symbol: Symbol

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartConstruction) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        """Returns everything except the place."""
        return self.target, self.is_partial, self.positional, self.keywords

    @property
    def arguments(self) -> "dict[str, Value]":
        return dict(self.keywords)


Value: TypeAlias = Constant | Field | Items | ConstantTable | Operation | PartConstruction


def parts(value: Value) -> "tuple[Value, ...]":
    """Returns the values directly inside a value."""
    match value:
        case Constant() | Field():
            return ()
        case Items():
            return value.items
        case ConstantTable():
            return tuple(item for _, item in value.entries)
        case Operation():
            return (value.left, value.right)
        case PartConstruction():
            return (*value.positional, *(item for _, item in value.keywords))
        case _:
            assert_never(value)


def walk(value: Value) -> Iterator[Value]:
    """Yields the value and everything inside it, in written order."""
    yield value
    for part in parts(value):
        yield from walk(part)


def fields_of(value: Value) -> list[str]:
    """Returns the configuration fields that a value mentions."""
    return [item.name for item in walk(value) if isinstance(item, Field)]


def has_construction(value: Value) -> bool:
    return any(isinstance(item, PartConstruction) for item in walk(value))


def static_text(value: Value, owner: str) -> str:
    """Returns the Python expression of a value without constructions; fields are read from `owner`."""
    match value:
        case Constant():
            return value.text
        case Field():
            return f"{owner}.{value.name}"
        case Items():
            return "[" + ", ".join(static_text(item, owner) for item in value.items) + "]"
        case ConstantTable():
            return "{" + ", ".join(f"{key.text}: {static_text(item, owner)}" for key, item in value.entries) + "}"
        case Operation(operator="[]"):
            subject = static_text(value.left, owner)
            subject = f"({subject})" if _needs_parentheses(value.left) else subject
            return f"{subject}[{static_text(value.right, owner)}]"
        case Operation():
            right = static_text(value.right, owner)
            right = f"({right})" if _needs_parentheses(value.right) else right
            return f"{_left(value, owner)} {value.operator} {right}"
        case PartConstruction():
            raise ValueError(f"{value.symbol.text} is a construction; it has no static text")
        case _:
            assert_never(value)


def _left(value: Operation, owner: str) -> str:
    """Returns the left operand, in parentheses if needed: `-2 ** x` would mean `-(2 ** x)`."""
    text = static_text(value.left, owner)
    is_power_of_negative = value.operator == "**" and text.startswith("-")
    return f"({text})" if _needs_parentheses(value.left) or is_power_of_negative else text


def _needs_parentheses(value: Value) -> bool:
    """Returns True for an operation that binds less tightly than a subscript."""
    return isinstance(value, Operation) and value.operator != "[]"
