"""Turns `!var` nodes into parameters of the generated function."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from fgc.emit.names import Names
from fgc.ir import Deferred, Graph, Literal, NodeId, Scalar, Var


class Variable(Struct, frozen=True):
    """A parameter: its Python name, its annotation, and its default.

    `default` is a literal's node; `is_optional` without one means that a statement builds the default when it is
    needed.
    """

    name: str
    annotation: str
    default: NodeId | None
    is_optional: bool
    is_single: bool


class Parameters:
    """The variables that the chosen targets need, by their names in the configuration."""

    def __init__(
        self, graph: Graph, order: Sequence[NodeId], names: Names, annotations: Mapping[str, str] | None = None
    ) -> None:
        """`annotations` are the types that the receivers of variables expect, where known."""
        known = annotations or {}
        nodes: dict[str, list[Var]] = {}
        for node_id in order:
            node = graph[node_id]
            if isinstance(node, Var):
                nodes.setdefault(node.name, []).append(node)
        self.by_name = {
            name: _variable(graph, names.fresh(name), found, known.get(name)) for name, found in nodes.items()
        }

    def __getitem__(self, name: str) -> Variable:
        return self.by_name[name]

    @property
    def in_order(self) -> list[Variable]:
        """Returns the variables, required ones first."""
        return sorted(self.by_name.values(), key=lambda variable: variable.is_optional)

    @property
    def needs_missing(self) -> bool:
        """Returns True if the program must distinguish a parameter that is not given from None."""
        return any(variable.is_optional and variable.default is None for variable in self.by_name.values())


def _variable(graph: Graph, name: str, nodes: Sequence[Var], asked: str | None) -> Variable:
    defaults = [node.default for node in nodes if node.default is not None]
    if len(defaults) < len(nodes):
        return Variable(name, asked or "Any", None, False, False)
    first = graph[defaults[0]]
    if isinstance(first, Literal | Deferred) and all(_same(first, graph[default]) for default in defaults):
        return Variable(name, _annotation(first, asked), defaults[0], True, True)
    return Variable(name, "Any", None, True, len(nodes) == 1)


def _same(first: object, other: object) -> bool:
    if isinstance(first, Literal) and isinstance(other, Literal):
        return _exact(first.value) == _exact(other.value)
    if not isinstance(first, Deferred) or not isinstance(other, Deferred):
        return False
    return first.parts == other.parts and type(first.number) is type(other.number)


def _exact(value: Scalar) -> tuple[type, object]:
    return type(value), value.hex() if isinstance(value, float) else value


def _annotation(default: Literal | Deferred, asked: str | None) -> str:
    """Returns the expected type, if the default has it; otherwise the type of the default."""
    if isinstance(default, Deferred):
        return type(default.value).__name__
    own = "None" if default.value is None else type(default.value).__name__
    allowed = asked.split(" | ") if asked else []
    if asked is not None and (own in allowed or (own == "int" and "float" in allowed)):
        return asked
    if default.value is None:
        return f"{asked} | None" if asked else "Any"
    return own
