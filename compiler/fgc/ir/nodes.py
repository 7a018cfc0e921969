"""The closed union of graph nodes. A node refers to others by id; two mentions of one id are one object."""

from enum import Enum
from typing import NewType, TypeAlias

from msgspec import Struct

from fgc.text import DeferredExpression, Form, FromOutside, Origin, expression_text, is_of_environment

NodeId = NewType("NodeId", int)
Scalar: TypeAlias = bool | int | float | str | None


class SymbolKind(Enum):
    """How a callable is found."""

    MODULE = "module"  # torch.optim:AdamW, torch.optim.AdamW
    FILE = "file"  # models/custom.py:Head
    COMPONENT = "component"  # .attention:Attention, on the search path of the model being generated
    BUILTIN = "builtin"  # range, operator-like items keys values getitem getattr call, named_list ...


class Symbol(Struct, frozen=True):
    """A callable by name: `container` is the module or file (empty for builtins), `attribute` may be dotted.

    In a text with dots only, where the module ends is known when Python's files are read; until then the last part is
    the attribute.
    """

    text: str
    kind: SymbolKind
    container: str
    attribute: str
    origin: Origin

    @property
    def has_dots_only(self) -> bool:
        """Returns True for `torch.nn.SiLU`, whose module is not divided from the name in it."""
        return self.kind is SymbolKind.MODULE and ":" not in self.text

    @property
    def attribute_origin(self) -> Origin:
        """The place of the attribute within the tag, where the tag's text is literal."""
        span = self.origin.span
        if span.text != self.text or not self.container:
            return self.origin
        return Origin(span.at(len(self.container) + 1), self.origin.via, self.origin.block)


class CallKind(Enum):
    """When and how often a call happens (language.md, section 8)."""

    SINGLETON = "singleton"
    FACTORY = "factory"
    PARTIAL = "partial"
    META = "meta"


class Literal(Struct, frozen=True):
    """None, a boolean, a number or a string. `argument`: it is what variables from outside make it.

    `forms`: how the text around each variable from outside is written, as YAML has a say in what may stand there.
    """

    value: Scalar
    origin: Origin
    argument: FromOutside | None = None
    forms: tuple[Form, ...] = ()


class Deferred(Struct, frozen=True):
    """A string with parts that are known only where the program runs.

    `text` is its value now, as `pp` shows it; `parts` are literal strings and run-time expressions, joined in order.
    `number` is set where YAML reads the text now as a number or a boolean: the program turns the text into one.
    `forms` are those of a literal.
    """

    text: str
    parts: tuple[str | DeferredExpression, ...]
    origin: Origin
    number: bool | int | float | None = None
    forms: tuple[Form, ...] = ()

    @property
    def value(self) -> Scalar:
        """Returns the value as it is now."""
        return self.text if self.number is None else self.number

    @property
    def written(self) -> str:
        """Returns the text as it is now, or its expressions if it is from the environment and may be a secret."""
        if not any(map(is_of_environment, self.parts)):
            return self.text
        return "".join(part if isinstance(part, str) else f"${{{expression_text(part)}}}" for part in self.parts)


class ListNode(Struct, frozen=True):
    """A list."""

    items: tuple[NodeId, ...]
    origin: Origin


class Entry(Struct, frozen=True):
    """One pair of a mapping; `origin` is the key's."""

    key: Scalar | tuple[Scalar, ...]
    value: NodeId
    origin: Origin


class DictNode(Struct, frozen=True):
    """A mapping, in order; keys are unique and keep their YAML type."""

    entries: tuple[Entry, ...]
    origin: Origin


class Keyword(Struct, frozen=True):
    """A keyword argument; `origin` is the place of its name."""

    name: str
    value: NodeId
    origin: Origin


class Call(Struct, frozen=True):
    """A callable and its arguments.

    `!list`, `!tuple`, `!dict` and `!dlist` are singletons of the builtins named_list, named_tuple (one positional
    ListNode) and named_dict (keywords). `origin` is the place of the tag. `searchpath`: a ListNode of folders.
    `latent`: a node whose value, a mapping, is merged in when the call happens.
    """

    callee: Symbol
    kind: CallKind
    positional: tuple[NodeId, ...]
    keywords: tuple[Keyword, ...]
    origin: Origin
    name: str | None = None
    searchpath: NodeId | None = None
    latent: NodeId | None = None


class Var(Struct, frozen=True):
    """A run-time parameter of the program; without `default` it must be given when it is needed."""

    name: str
    default: NodeId | None
    origin: Origin


Node: TypeAlias = Literal | Deferred | ListNode | DictNode | Call | Var


def expressions_of(node: Node) -> tuple[DeferredExpression, ...]:
    """Returns the run-time expressions in a value."""
    match node:
        case Literal(argument=argument) if argument is not None:
            return (argument,)
        case Deferred(parts=parts):
            return tuple(part for part in parts if not isinstance(part, str))
        case _:
            return ()
