"""Scopes of generated code: the statements of a body, and the nodes that have a variable there."""

from fgc.emit.expression import Assign, Branch, Define, Evaluate, Expression, Name, Return, Statement
from fgc.emit.measure import has_effect
from fgc.ir import NodeId


class FunctionScope:
    """A function's body, or the body of an `if`; it sees the variables of the scopes around it."""

    def __init__(self, around: "FunctionScope | None" = None, *, is_per_call: bool = False) -> None:
        self.statements: list[Statement] = []
        self._around = around
        self._is_per_call = is_per_call
        self._values: dict[NodeId, Expression] = {}
        self._makers: dict[NodeId, Name] = {}

    @property
    def home(self) -> "FunctionScope":
        """Returns the enclosing scope whose statements run once, for values that are built once."""
        return self._around.home if self._is_per_call and self._around is not None else self

    def is_per_call_name(self, name: str) -> bool:
        """Returns True if a variable is local to a function that the program calls."""
        if not self._is_per_call:
            return False
        is_here = any(isinstance(item, Assign | Define) and item.name == name for item in self.statements)
        return is_here or (self._around is not None and self._around.is_per_call_name(name))

    def bind(self, node: NodeId, value: Expression) -> Expression:
        """Stores the expression of a node: a variable or a constant."""
        self._values[node] = value
        return value

    def find(self, node: NodeId) -> Expression | None:
        """Returns the expression of a node that was built before, or None."""
        if node in self._values:
            return self._values[node]
        return None if self._around is None else self._around.find(node)

    def bind_maker(self, node: NodeId, function: Name) -> Name:
        """Stores the function that makes a new value of a node."""
        self._makers[node] = function
        return function

    def find_maker(self, node: NodeId) -> Name | None:
        """Returns the function that makes a new value of a node, or None."""
        if node in self._makers:
            return self._makers[node]
        return None if self._around is None else self._around.find_maker(node)

    def mark(self) -> int:
        """Returns the position of the next statement."""
        return len(self.statements)

    def acted_since(self, mark: int) -> bool:
        """Returns True if a statement after the mark runs foreign code."""
        return any(_acts(statement) for statement in self.statements[mark:])


def _acts(statement: Statement) -> bool:
    match statement:
        case Define():
            return False
        case Assign() | Return() | Evaluate():
            return has_effect(statement.value)
        case Branch():
            return any(_acts(inner) for inner in statement.body)
