"""The table of lint rules."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from fgc.diagnostics import Diagnostic
from fgc.ir import Graph
from fgc.yaml import Composition

Rule: TypeAlias = Callable[[Composition, Graph], Iterable[Diagnostic]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Register a rule: a function of the composed document and the graph that yields findings."""
    RULES.append(function)
    return function
