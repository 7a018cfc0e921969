"""What looks like a mistake, though it has a meaning: one function for each rule, found by its decorator."""

from fgc.diagnostics import Diagnostic
from fgc.ir import Graph
from fgc.lint import anchors, builtins, keys, languages, outdented, prints, scalars, swallowed, taken_lines
from fgc.lint.rules import RULES
from fgc.yaml import Composition

__all__ = ["check"]

_RULE_MODULES = (anchors, builtins, keys, languages, outdented, prints, scalars, swallowed, taken_lines)


def check(composition: Composition, graph: Graph) -> list[Diagnostic]:
    """All findings of all rules."""
    return [diagnostic for rule in RULES for diagnostic in rule(composition, graph)]
