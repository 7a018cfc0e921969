"""Builtins that do not exist."""

import builtins
from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.ir import BUILTINS, Call, Graph, SymbolKind
from fgc.lint.rules import rule
from fgc.yaml import Composition

_NEEDS_MODULE = "a name that is not a builtin needs its module: `module:name`"


@rule
def unknown_builtin(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC504: a callable without a module that is no builtin."""
    for node in graph.nodes.values():
        if not isinstance(node, Call) or node.callee.kind is not SymbolKind.BUILTIN:
            continue
        symbol = node.callee
        name, _, rest = symbol.attribute.partition(".")
        if not all(part.isidentifier() for part in symbol.attribute.split(".")):
            continue  # no name at all, which is told
        if name not in BUILTINS:
            help = did_you_mean(name, BUILTINS) or _NEEDS_MODULE
            yield Diagnostic.at(symbol.origin, "FGC504", f"there is no builtin `{name}`", help=help)
        elif rest and hasattr(builtins, name) and not hasattr(getattr(builtins, name), rest.split(".")[0]):
            attribute = rest.split(".")[0]
            nearest_attribute = did_you_mean(attribute, dir(getattr(builtins, name)))
            message = f"`{name}` has no attribute `{attribute}`"
            yield Diagnostic.at(symbol.origin, "FGC504", message, help=nearest_attribute)
