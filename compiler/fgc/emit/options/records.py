"""Records of the options that a program offers, and of those that are closed."""

from collections.abc import Mapping

from msgspec import Struct, field

from fgc.ir import Option, Scalar
from fgc.text import DeferredArgument, DeferredExpression, DeferredOption, DeferredPart, Origin, Span

TEXT_TYPES = ("str", "path")


class Closed(Struct, frozen=True):
    """An option that the program does not offer, with the reason and the place that decides it, if any."""

    option: Option
    reason: str
    span: Span | None = None


class Offered(Struct, frozen=True):
    """An option of a program. `default`: a value, or an expression.

    `is_read`: YAML's rules say what a text means; `forms`: the texts that it is a part of, with `{}` in its place.
    """

    option: Option
    default: Scalar | DeferredExpression
    is_read: bool = False
    forms: tuple[str, ...] = ()


class Options(Struct, frozen=True):
    """The options of one program, and those that it does not offer."""

    offered: Mapping[str, Offered] = field(default_factory=dict)
    closed: tuple[Closed, ...] = ()


class Leaf(Struct, frozen=True):
    """A mention of an option in a value of the program. `forms`: how the text around it is written."""

    argument: DeferredArgument | DeferredOption
    expression: DeferredPart
    origin: Origin
    forms: tuple[str, ...]
