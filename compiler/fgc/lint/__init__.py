"""Lint rules: find texts that are valid but look like mistakes. Each rule is a function with the decorator `rule`."""

from importlib import import_module

from fgc.diagnostics import Diagnostic
from fgc.ir import Graph
from fgc.lint.rules import RULES
from fgc.yaml import Composition

__all__ = ["check"]

_RULE_MODULES = (
    *("anchors", "builtins", "keys", "languages", "outdented", "prints", "scalars", "signs", "swallowed"),
    "taken_lines",
)


def check(composition: Composition, graph: Graph) -> list[Diagnostic]:
    """Returns all findings of all rules, which are imported here because commands that only list start faster."""
    for module in _RULE_MODULES:
        import_module(f"{__name__}.{module}")
    return [diagnostic for rule in RULES for diagnostic in rule(composition, graph)]
