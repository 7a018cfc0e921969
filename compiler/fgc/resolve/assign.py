"""Assigns values to the names and attributes of a target."""

from typing import Any

from jinja2.runtime import Undefined
from jinja2.utils import Namespace

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.resolve.errors import Broken, EvaluationError
from fgc.resolve.failures import described, undefined_finding
from fgc.resolve.mentions import walk
from fgc.resolve.scope import Scope, absent
from fgc.syntax import ast


def assign(target: ast.Target, value: Any, scope: Scope) -> None:
    """Sets the names and attributes of a target. Raises EvaluationError."""
    if isinstance(target, ast.Name):
        scope.set(target.name, value)
    elif isinstance(target, ast.NamespaceTarget):
        _assign_attribute(target, value, scope)
    elif isinstance(value, Broken):
        for item in target.items:
            assign(item, value, scope)
    else:
        for item, part in zip(target.items, _unpack(target, value), strict=True):
            assign(item, part, scope)


def break_targets(statement: ast.Statement, scope: Scope) -> None:
    """Sets the targets of a failed statement to `Broken`, so that using them is not a second finding."""
    if isinstance(statement, (ast.Set, ast.SetBlock)):
        assign(statement.target, Broken(), scope)
    elif isinstance(statement, ast.Import):
        scope.set(statement.name, Broken())
    elif isinstance(statement, ast.FromImport):
        for name in statement.names:
            scope.set(name.alias, Broken())
    elif isinstance(statement, ast.If):
        for inner in [inner for _, body in statement.branches for inner in body] + list(statement.otherwise):
            break_targets(inner, scope)
    elif isinstance(statement, ast.Macro):
        scope.set(statement.name, Broken())
    else:
        for node in walk([statement]):
            if isinstance(node, ast.NamespaceTarget):
                _assign_attribute(node, Broken(), scope)


def _assign_attribute(target: ast.NamespaceTarget, value: Any, scope: Scope) -> None:
    namespace = scope.get(target.namespace)
    if isinstance(namespace, Namespace):
        namespace[target.attribute] = value
    elif not isinstance(value, Broken) and not isinstance(namespace, Broken):
        raise EvaluationError(_no_namespace(target, namespace, scope))


def _no_namespace(target: ast.NamespaceTarget, value: Any, scope: Scope) -> Diagnostic:
    if value is not absent:
        message = f"`{target.namespace}` is not a namespace: only attributes of a namespace can be set"
        help = f"make it one: `set {target.namespace} = namespace(...)`"
        return Diagnostic("FGC206", message, target.span, help=help)
    known = [name for name, value in scope.visible().items() if isinstance(value, Namespace)]
    help = did_you_mean(target.namespace, known) or f"make it first: `set {target.namespace} = namespace()`"
    return Diagnostic("FGC203", f"`{target.namespace}` is undefined", target.span, help=help)


def _unpack(target: ast.TargetTuple, value: Any) -> list[Any]:
    if isinstance(value, Undefined):
        raise EvaluationError(undefined_finding(value, target.span))
    try:
        parts = list(value)
    except TypeError:
        message = f"this needs {len(target.items)} values, and {described(value)} is not a list"
        raise EvaluationError(Diagnostic("FGC206", message, target.span)) from None
    if len(parts) != len(target.items):
        message = f"this needs {len(target.items)} values, and {len(parts)} are given"
        raise EvaluationError(Diagnostic("FGC206", message, target.span))
    return parts
