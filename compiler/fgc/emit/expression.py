"""Expressions and statements of a generated program as plain values, before layout.

Knows nothing of graphs except the id of the node that an expression was made from.
"""

from typing import TypeAlias

from msgspec import Struct

from fgc.ir import NodeId


class Name(Struct, frozen=True):
    """A variable, an imported name or a module path such as `os.path`; `node` is set if it stands for a value."""

    text: str
    node: NodeId | None = None


class Constant(Struct, frozen=True):
    """A literal by its source text; `is_signed` if it starts with a minus sign."""

    text: str
    node: NodeId | None = None
    is_signed: bool = False


class Lines(Struct, frozen=True):
    """A string that is too long for one line: the source texts of its adjacent pieces."""

    pieces: tuple[str, ...]
    node: NodeId | None = None


class Formatted(Struct, frozen=True):
    """An f-string: text, and expressions that contain no quotes."""

    parts: "tuple[str | Expression, ...]"
    node: NodeId | None = None


class Attribute(Struct, frozen=True):
    """`value.name`; reading it may run code unless `is_pure`."""

    value: "Expression"
    name: str
    node: NodeId | None = None
    is_pure: bool = False


class Item(Struct, frozen=True):
    """`value[index]`."""

    value: "Expression"
    index: "Expression"
    node: NodeId | None = None


class Argument(Struct, frozen=True):
    """One argument: positional, `keyword=value`, or spread with `*` or `**`."""

    value: "Expression"
    keyword: str | None = None
    star: str = ""


class Invoke(Struct, frozen=True):
    """A call; `is_pure` if its only effect is a new object (`functools.partial`)."""

    function: "Expression"
    arguments: tuple[Argument, ...]
    node: NodeId | None = None
    is_pure: bool = False


class ListDisplay(Struct, frozen=True):
    """`[a, b]`."""

    items: "tuple[Expression, ...]"
    node: NodeId | None = None


class TupleDisplay(Struct, frozen=True):
    """`(a, b)`."""

    items: "tuple[Expression, ...]"
    node: NodeId | None = None


class DictDisplay(Struct, frozen=True):
    """`{key: value, **more}`; a pair without a key spreads its value."""

    pairs: "tuple[tuple[Expression | None, Expression], ...]"
    node: NodeId | None = None


class Unary(Struct, frozen=True):
    """`-x`, `+x`, `~x` or `not x`."""

    operator: str
    operand: "Expression"
    node: NodeId | None = None


class Binary(Struct, frozen=True):
    """`left operator right`, comparisons included."""

    left: "Expression"
    operator: str
    right: "Expression"
    node: NodeId | None = None


class Conditional(Struct, frozen=True):
    """`value if test else other`."""

    value: "Expression"
    test: "Expression"
    other: "Expression"
    node: NodeId | None = None


class Lambda(Struct, frozen=True):
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


class FunctionParameter(Struct, frozen=True):
    """A parameter of a generated function; `text` may carry stars."""

    text: str
    annotation: str | None = None
    default: Expression | None = None
    is_positional_only: bool = False


class Assign(Struct, frozen=True):
    """`name = value`, made for a node."""

    name: str
    value: Expression
    node: NodeId | None = None


class Define(Struct, frozen=True):
    """A function."""

    name: str
    parameters: tuple[FunctionParameter, ...]
    returns: str | None
    body: "tuple[Statement, ...]"
    node: NodeId | None = None
    decorator: Name | None = None


class Branch(Struct, frozen=True):
    """`if test:` and its body."""

    test: Expression
    body: "tuple[Statement, ...]"


class Return(Struct, frozen=True):
    """`return value`."""

    value: Expression


class Evaluate(Struct, frozen=True):
    """An expression for its effect."""

    value: Expression


Statement: TypeAlias = Assign | Define | Branch | Return | Evaluate


def parts(expression: Expression) -> tuple[Expression, ...]:
    """Returns the expressions directly inside another, in source order."""
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
        case Binary(Binary(operator="or") as left, "or", right):
            return (*parts(left), right)  # Python has one node for all of `a or b or c`
        case Binary():
            return (expression.left, expression.right)
        case Conditional():
            return (expression.value, expression.test, expression.other)
        case Lambda():
            return (expression.body,)
        case _:
            return ()
