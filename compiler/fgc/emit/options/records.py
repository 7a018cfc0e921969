"""Records of options: as a program offers them, and why it does not."""

from collections.abc import Mapping

from msgspec import Struct, field

from fgc.ir import Option, Scalar
from fgc.text import DeferredArgument, DeferredExpression, DeferredOption, DeferredPart, Origin, Span

TEXT_TYPES = ("str", "path")


class Closed(Struct, frozen=True):
    """Says why an option is none of the program: the place that decides it, if there is one."""

    option: Option
    reason: str
    span: Span | None = None


class Offered(Struct, frozen=True):
    """An option of a program. `default`: a value, or an expression.

    `is_read`: YAML's rules say what a text means; `is_part`: it is a part of texts, which must not end in it.
    """

    option: Option
    default: Scalar | DeferredExpression
    is_read: bool = False
    is_part: bool = False


class Options(Struct, frozen=True):
    """The options of one program, and those that it does not offer."""

    offered: Mapping[str, Offered] = field(default_factory=dict)
    closed: tuple[Closed, ...] = ()


class Leaf(Struct, frozen=True):
    """A mention of an option in a value of the program. `is_plain`: the value is written without quotes."""

    argument: DeferredArgument | DeferredOption
    expression: DeferredPart
    origin: Origin
    is_plain: bool
