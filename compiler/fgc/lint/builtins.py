"""Builtins that do not exist."""

import builtins
from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.ir import Call, Graph, SymbolKind
from fgc.lint.rules import rule
from fgc.yaml import Composition

_OWN = (
    *("items", "keys", "values", "getitem", "getattr", "call"),
    *("named_list", "named_tuple", "named_dict"),
)
_KNOWN = frozenset((*(name for name in dir(builtins) if not name.startswith("_")), *_OWN))
_NEEDS_MODULE = "a name that is no builtin needs its module: `module:name`"


@rule
def unknown_builtin(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC504: a callable without a module that is no builtin."""
    for node in graph.nodes.values():
        if not isinstance(node, Call) or node.callee.kind is not SymbolKind.BUILTIN:
            continue
        symbol = node.callee
        name, _, rest = symbol.attribute.partition(".")
        if name not in _KNOWN:
            help = _with_module(name, rest) or did_you_mean(name, _KNOWN) or _NEEDS_MODULE
            yield Diagnostic.at(symbol.origin, "FGC504", f"there is no builtin `{name}`", help=help)
        elif rest and hasattr(builtins, name) and not hasattr(getattr(builtins, name), rest.split(".")[0]):
            attribute = rest.split(".")[0]
            nearest_attribute = did_you_mean(attribute, dir(getattr(builtins, name)))
            message = f"`{name}` has no attribute `{attribute}`"
            yield Diagnostic.at(symbol.origin, "FGC504", message, help=nearest_attribute)


def _with_module(name: str, rest: str) -> str | None:
    """What to write for `torch.nn.Linear`, whose module lacks its colon."""
    if not rest:
        return None
    module, _, attribute = f"{name}.{rest}".rpartition(".")
    return f"a module is divided from the name in it by `:`, as in `{module}:{attribute}`"
