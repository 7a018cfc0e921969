"""YAML nodes: a closed union. Keys, tags and anchors have places of their own; aliases keep theirs."""

from typing import Literal, TypeAlias

from msgspec import Struct, field

from fgc.text import DeferredExpression, Document, Form, FromOutside, Need, Origin


class Label(Struct, frozen=True):
    """A tag or an anchor: its text and its place. `is_broken`: a mistake has kept some of the text from being."""

    text: str
    origin: Origin
    is_broken: bool = False


class ScalarNode(Struct, eq=False):
    """A scalar.

    `parts` is set where some of its text is known only where the program runs, `argument` where all of it is what a
    template variable from outside says. `forms`: how it is written around such variables. `is_broken`: a mistake, which
    is told, has kept some of a node from being.
    """

    value: str
    is_plain: bool
    origin: Origin
    tag: Label | None = None
    anchor: Label | None = None
    parts: tuple[str | DeferredExpression, ...] | None = None
    argument: FromOutside | None = None
    forms: tuple[Form, ...] = ()
    is_broken: bool = False


class SequenceNode(Struct, eq=False):
    """A sequence; `origin` is where it begins."""

    items: "list[Node]"
    origin: Origin
    tag: Label | None = None
    anchor: Label | None = None
    is_broken: bool = False


class MappingNode(Struct, eq=False):
    """A mapping: pairs as written, duplicates and merge keys included."""

    pairs: "list[tuple[Node, Node]]"
    origin: Origin
    tag: Label | None = None
    anchor: Label | None = None
    is_broken: bool = False


class AliasNode(Struct, eq=False):
    """A mention of an anchored node; `target` is None if there is no such anchor (a finding says so)."""

    name: str
    target: "ScalarNode | SequenceNode | MappingNode | None"
    origin: Origin


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode | AliasNode


Style: TypeAlias = Literal["plain", "quoted", "scalar block", "flow", "block"]


class Place(Struct, frozen=True):
    """The place of a node in the document, behind its tag and anchor; `end` is behind its last character."""

    start: int
    end: int
    style: Style
    node: ScalarNode | SequenceNode | MappingNode


class Composition(Struct, eq=False):
    """A document's root, every anchor in it, the names that aliases mention, and what had to be known for it.

    `places` are those of all nodes but aliases, in the order in which they end.
    """

    document: Document
    root: Node | None = None
    places: list[Place] = field(default_factory=list)
    anchors: dict[str, Label] = field(default_factory=dict)
    aliases: dict[str, list[Origin]] = field(default_factory=dict)
    has_syntax_error: bool = False
    needs: list[Need] = field(default_factory=list)

    @property
    def is_partial(self) -> bool:
        """Returns True if a mistake, which is told, has kept some of the document from being."""
        return self.has_syntax_error or bool(self.document.broken) or self.document.has_lost_text
