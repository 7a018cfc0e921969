"""Writes the value of a `!var`: the caller's argument, or its default, which is built when it is first needed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fgc.emit.expression import Assign, Binary, Branch, Expression, Name
from fgc.emit.scope import FunctionScope
from fgc.emit.sharing import evaluated
from fgc.emit.steps import Steps
from fgc.ir import NodeId, Var

if TYPE_CHECKING:
    from fgc.emit.construct import Construction

MISSING = "MISSING"


def value(construction: "Construction", var: Var, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
    """Returns the variable with the value, after the statement that sets its default."""
    variable = construction.parameters[var.name]
    if not variable.is_optional or variable.default is not None or var.default is None:
        return Name(variable.name)
    for part in _needed_elsewhere(construction, node, var.default):
        yield construction.value(part, scope)
    branch = FunctionScope(scope)
    default = yield construction.value(var.default, branch)
    name = variable.name
    if not variable.is_single:
        name = construction.names.fresh(var.name)
        scope.statements.append(Assign(name, Name(variable.name), node))
    test = Binary(Name(name), "is", Name(MISSING))
    scope.statements.append(Branch(test, (*branch.statements, Assign(name, default, var.default))))
    return scope.bind(node, Name(name))


def _needed_elsewhere(construction: "Construction", var: NodeId, default: NodeId) -> Iterator[NodeId]:
    """Yields the nodes that a default shares with the rest of the program, which are built in any case."""
    elsewhere = _reachable_without(construction, var)
    seen: set[NodeId] = set()
    stack = [default]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in elsewhere and construction.sharing.is_once(node):
            yield node
        else:
            stack.extend(reversed(evaluated(construction.graph, node)))


def _reachable_without(construction: "Construction", var: NodeId) -> set[NodeId]:
    seen: set[NodeId] = set()
    stack = list(construction.sharing.roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if node != var:
                stack.extend(evaluated(construction.graph, node))
    return seen
