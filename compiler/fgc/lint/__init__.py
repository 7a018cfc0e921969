"""Finds what looks like a mistake, though it has a meaning: one function for each rule, found by its decorator."""

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
    """All findings of all rules, which are loaded now: a listing has none, and starts faster."""
    for module in _RULE_MODULES:
        import_module(f"{__name__}.{module}")
    return [diagnostic for rule in RULES for diagnostic in rule(composition, graph)]
