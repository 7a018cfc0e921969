"""Errors that checks and builds share: no program can be made from a graph, or the program cannot start."""

from fgc.diagnostics import Diagnostic, Severity
from fgc.ir import Call, Var


def misplaced_component(call: Call) -> Diagnostic:
    """Returns the error about a component that is not a part of a model."""
    message = f"component `{call.callee.text}` is outside a model"
    help = "components are parts of the `model` of `!meta:fgc:model_package`"
    return Diagnostic.at(call.callee.origin, "FGC502", message, help=help)


def unset_variable(node: Var) -> Diagnostic:
    """Returns the warning about a variable without a value; a caller in Python may still give it one."""
    message = f"variable `{node.name}` has no value when the program is started"
    help = f"give it a default: `!var {{ name: {node.name}, default: ... }}`"
    return Diagnostic.at(node.origin, "FGC412", message, severity=Severity.WARNING, help=help)
