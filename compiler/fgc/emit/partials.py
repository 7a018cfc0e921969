"""Writes partials as `functools.partial` where that is exact, otherwise as functions.

A function is needed if something is evaluated at every call: an argument that contains a factory, or a latent mapping.
Everything else is evaluated once, when the partial is made, in written order. Generated functions never nest, even if
partials do: values from another function's body are bound to the first parameters.
"""

from typing import TYPE_CHECKING

from fgc.emit import latent, operators
from fgc.emit.expression import Argument, Attribute, Define, Expression, FunctionParameter, Invoke, Lambda, Name, Return
from fgc.emit.measure import is_atom
from fgc.emit.scope import FunctionScope
from fgc.emit.sharing import arguments
from fgc.emit.steps import Steps
from fgc.ir import Call, NodeId

if TYPE_CHECKING:
    from fgc.emit.construct import Construction

_PARAMETERS = (FunctionParameter("*args", "Any"), FunctionParameter("**kwargs", "Any"))


def handed_over(construction: "Construction", call: Call, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
    """Returns the expression of a partial's callable."""
    if construction.sharing.is_late(call):
        function_of_its_own: Expression = yield _late(construction, call, node, scope)
        return function_of_its_own
    given, _ = yield construction.arguments(call, scope)
    function = operators.callee(call.callee, construction.imports)
    if not given.positional and not given.keywords and isinstance(function, Name | Attribute):
        return function
    partial = construction.imports.function("functools", "partial")
    return Invoke(partial, (Argument(function), *given.written()), node, is_pure=True)


def _late(construction: "Construction", call: Call, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
    fixed = yield _evaluate_once(construction, call, scope)
    body = FunctionScope(scope, is_per_call=True)
    given, late = yield construction.arguments(call, body, fixed)
    pairs = latent.keyword_pairs(given, late)
    keywords = latent.display([*pairs, (None, Name("kwargs"))]) if pairs else Name("kwargs")
    written = [Argument(value) for value in given.positional]
    function = operators.callee(call.callee, construction.imports)
    invoke = Invoke(function, (*written, Argument(Name("args"), star="*"), Argument(keywords, star="**")), node)
    if not body.statements:
        return Lambda(("*args", "**kwargs"), invoke, node)
    name = construction.names.fresh(*construction.wishes(node))
    own = tuple(
        value.text for value in fixed.values() if isinstance(value, Name) and scope.is_per_call_name(value.text)
    )
    bound = (
        FunctionParameter(text, "Any", is_positional_only=True) for text in own
    )  # a later call may use the name itself
    parameters = (*bound, *_PARAMETERS)
    scope.home.statements.append(Define(name, parameters, "Any", (*body.statements, Return(invoke)), node))
    if not own:
        return Name(name)
    partial = construction.imports.function("functools", "partial")
    return Invoke(partial, tuple(Argument(Name(text)) for text in (name, *own)), node, is_pure=True)


def _evaluate_once(construction: "Construction", call: Call, scope: FunctionScope) -> Steps[dict[int, Expression]]:
    """Evaluates now, in order, what is not evaluated per call; returns those arguments by position."""
    sharing = construction.sharing
    fixed: dict[int, Expression] = {}
    names = [*(None for _ in call.positional), *(keyword.name for keyword in call.keywords)]
    for position, child in enumerate(arguments(call)):
        if sharing.is_per_call(child):
            for part in sharing.once_parts(child):
                yield construction.value(part, scope)
            continue
        value = yield construction.value(child, scope)
        fixed[position] = value if is_atom(value) else construction.assign(value, child, scope, names[position])
    if call.latent is not None:
        for part in sharing.once_parts(call.latent):
            yield construction.value(part, scope)
    return fixed
