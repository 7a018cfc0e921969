"""Writes factories and partials that are mentioned more than once: repeated if short, else made by a function."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fgc.emit.expression import Argument, Assign, Define, Expression, Invoke, Name, Return, Statement
from fgc.emit.inline import reads_better_shared
from fgc.emit.measure import is_atom
from fgc.emit.scope import FunctionScope
from fgc.emit.sharing import evaluated
from fgc.emit.steps import Steps
from fgc.ir import Call, CallKind, NodeId

if TYPE_CHECKING:
    from fgc.emit.construct import Construction


def repeated(
    construction: "Construction", node: NodeId, scope: FunctionScope, make: Callable[[FunctionScope], Steps[Expression]]
) -> Steps[Expression]:
    """Returns the expression of a new value of a node; `make` builds it in a scope."""
    known = scope.find_maker(node)
    if known is not None:
        return Invoke(known, (), node)
    home = scope.home
    if not construction.sharing.is_mentioned_again(node) or not _can_be_function(construction, node, home):
        in_place: Expression = yield make(scope)
        return in_place
    for part in construction.sharing.once_parts(node):
        yield construction.value(part, home)
    body = FunctionScope(home, is_per_call=True)
    made: Expression = yield make(body)
    if not body.statements and not reads_better_shared(made):
        return made
    if all(map(_is_same_each_time, (*map(_value_of, body.statements), made))):
        home.statements.extend(body.statements)
        return home.bind(node, construction.assign(made, node, home))
    name = Name(construction.names.fresh(f"new_{construction.wish(node)}"))
    home.statements.append(Define(name.text, (), "Any", (*body.statements, Return(made)), node))
    return Invoke(home.bind_maker(node, name), (), node)


def _value_of(statement: Statement) -> Expression | None:
    return statement.value if isinstance(statement, Assign) else None


def _is_same_each_time(made: Expression | None) -> bool:
    """Returns True if two such objects are interchangeable: a `functools.partial` of names and constants."""
    match made:
        case Invoke(arguments=(_, *given), is_pure=True):
            return all(_is_fixed(argument) for argument in given)
        case _:
            return False


def _is_fixed(argument: Argument) -> bool:
    return is_atom(argument.value) and not argument.star


def _can_be_function(construction: "Construction", node: NodeId, home: FunctionScope) -> bool:
    """Returns True if the once nodes inside precede everything that runs code, so that they can be built first."""
    has_run = False
    seen: set[NodeId] = set()  # a chain of factories, each mentioned twice, has 2^depth paths
    stack: list[tuple[NodeId, bool]] = [(node, False)]
    while stack:
        current, is_finished = stack.pop()
        value = construction.graph[current]
        if is_finished:
            has_run |= isinstance(value, Call) and value.kind is CallKind.FACTORY
        elif current in seen:
            continue
        elif construction.sharing.is_once(current):
            if has_run and home.find(current) is None:
                return False
        else:
            seen.add(current)
            stack.append((current, True))
            stack.extend((child, False) for child in reversed(evaluated(construction.graph, current)))
    return True
