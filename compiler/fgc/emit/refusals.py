"""Errors that a check and a build report in the same words: no program can be made of a graph, or it cannot start."""

from fgc.diagnostics import Diagnostic, Severity
from fgc.ir import Call, Var


def misplaced_component(call: Call) -> Diagnostic:
    """Returns the error about a component that is not a part of a model."""
    message = f"component `{call.callee.text}` stands outside a model"
    help = "components are parts of the `model` of `!meta:fgc:model_package`"
    return Diagnostic.at(call.callee.origin, "FGC502", message, help=help)


def unset_variable(node: Var) -> Diagnostic:
    """Returns the warning about a variable that a started program needs and never gets: Python may give it one."""
    message = f"variable `{node.name}` has no value when the program is started"
    help = f"give it a default: `!var {{ name: {node.name}, default: ... }}`"
    return Diagnostic.at(node.origin, "FGC412", message, severity=Severity.WARNING, help=help)
