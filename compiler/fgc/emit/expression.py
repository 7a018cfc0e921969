"""The Python that a program is made of, before it has a layout: expressions and statements as plain values.

Knows nothing of graphs except the id by which an expression remembers the node it was made from.
"""

from dataclasses import dataclass
from typing import TypeAlias

from fgc.ir import NodeId


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, an imported name or a module path such as `os.path`."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal by its source text; `is_signed` if it starts with a minus sign."""

    text: str
    node: NodeId | None = None
    is_signed: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """A string too long for one line: the source texts of its adjacent pieces."""

    pieces: tuple[str, ...]
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Formatted:
    """An f-string: text, and expressions that contain no quotes."""

    parts: "tuple[str | Expression, ...]"
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value.name`; reading it may run code unless `is_pure`."""

    value: "Expression"
    name: str
    node: NodeId | None = None
    is_pure: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """`value[index]`."""

    value: "Expression"
    index: "Expression"
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: positional, `keyword=value`, or spread with `*` or `**`."""

    value: "Expression"
    keyword: str | None = None
    star: str = ""


@dataclass(frozen=True, slots=True)
class Invoke:
    """A call; `is_pure` if it makes no other object than a new one of its own (`functools.partial`)."""

    function: "Expression"
    arguments: tuple[Argument, ...]
    node: NodeId | None = None
    is_pure: bool = False


@dataclass(frozen=True, slots=True)
class ListDisplay:
    """`[a, b]`."""

    items: "tuple[Expression, ...]"
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class TupleDisplay:
    """`(a, b)`."""

    items: "tuple[Expression, ...]"
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class DictDisplay:
    """`{key: value, **more}`; a pair without a key spreads its value."""

    pairs: "tuple[tuple[Expression | None, Expression], ...]"
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x`, `+x`, `~x` or `not x`."""

    operator: str
    operand: "Expression"
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`, comparisons included."""

    left: "Expression"
    operator: str
    right: "Expression"
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Conditional:
    """`value if test else other`."""

    value: "Expression"
    test: "Expression"
    other: "Expression"


@dataclass(frozen=True, slots=True)
class Lambda:
    """`lambda parameters: body`."""

    parameters: tuple[str, ...]
    body: "Expression"
    node: NodeId | None = None


Expression: TypeAlias = (
    Name
    | Constant
    | Lines
    | Formatted
    | Attribute
    | Item
    | Invoke
    | ListDisplay
    | TupleDisplay
    | DictDisplay
    | Unary
    | Binary
    | Conditional
    | Lambda
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a generated function; `text` may carry stars."""

    text: str
    annotation: str | None = None
    default: Expression | None = None
    is_positional_only: bool = False


@dataclass(frozen=True, slots=True)
class Assign:
    """`name = value`, made for a node."""

    name: str
    value: Expression
    node: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Define:
    """A function."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: str | None
    body: "tuple[Statement, ...]"
    node: NodeId | None = None
    decorator: Name | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """`if test:` and its body."""

    test: Expression
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Return:
    """`return value`."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression for its effect."""

    value: Expression


Statement: TypeAlias = Assign | Define | Branch | Return | Evaluate


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside another, in source order."""
    match expression:
        case Formatted():
            return tuple(part for part in expression.parts if not isinstance(part, str))
        case Attribute():
            return (expression.value,)
        case Item():
            return (expression.value, expression.index)
        case Invoke():
            return (expression.function, *(argument.value for argument in expression.arguments))
        case ListDisplay() | TupleDisplay():
            return expression.items
        case DictDisplay():
            return tuple(part for pair in expression.pairs for part in pair if part is not None)
        case Unary():
            return (expression.operand,)
        case Binary():
            return (expression.left, expression.right)
        case Conditional():
            return (expression.value, expression.test, expression.other)
        case Lambda():
            return (expression.body,)
        case _:
            return ()
