"""Finds callables that a list of patterns does not allow, to check a branch of somebody else.

`torch.*` allows callables defined in torch, not those merely reachable through it: `torch.serialization:os.system` is
a callable of `os`.
"""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from fgc.diagnostics import Diagnostic
from fgc.ir import DISPLAYS, VIEWS, Call, CallKind, Graph, Literal, Symbol, SymbolKind
from fgc.signatures import Answer

_CONTAINERS = frozenset({*DISPLAYS, *VIEWS, "getitem"})
_INSTALLED = ("/typeshed_client/typeshed/", "-packages/", "/compiler/", "/runtime/", "/modelsrc/")
_HELP = "allow it in `[tool.fgc]` of pyproject.toml or with `--allow`, after reading what it does"


class Definitions(Protocol):
    """Knows where a callable is defined."""

    def look_up(self, symbol: Symbol) -> Answer: ...


def check_allowed(graph: Graph, patterns: Sequence[str], definitions: Definitions) -> list[Diagnostic]:
    """Returns a finding for each callable that no pattern allows, where the configuration names it."""
    calls = [node for node in graph.nodes.values() if isinstance(node, Call)]
    has_own_components = any(call.searchpath is not None for call in calls)
    named = [
        call
        for call in calls
        if call.kind is not CallKind.META
        and (call.callee.kind is not SymbolKind.COMPONENT or has_own_components)
        and not _only_reads(graph, call)
    ]
    return list(_refused(named, patterns, definitions))


def _only_reads(graph: Graph, call: Call) -> bool:
    """Returns True for fgc's own containers, and for reading an attribute without leading underscores."""
    if call.callee.kind is not SymbolKind.BUILTIN:
        return False
    if call.callee.attribute != "getattr" or len(call.positional) < 2:
        return call.callee.attribute in _CONTAINERS
    name = graph[call.positional[1]]
    return isinstance(name, Literal) and not str(name.value).startswith("_")


def _refused(calls: Sequence[Call], patterns: Sequence[str], definitions: Definitions) -> Iterator[Diagnostic]:
    for call in calls:
        symbol = call.callee
        if not _is_allowed(symbol, patterns, definitions):
            message = f"`{symbol.text}` is not on the list of allowed callables"
            yield Diagnostic.at(symbol.origin, "FGC418", message, help=_HELP)


def _is_allowed(symbol: Symbol, patterns: Sequence[str], definitions: Definitions) -> bool:
    name = _name(symbol)
    if name in patterns:
        return True
    if not _matches(name, patterns):
        return False
    if symbol.kind is not SymbolKind.MODULE:
        return True
    place = definitions.look_up(symbol).place
    if place is None:  # of a module in C, or made by a call: only what the module itself calls by one name
        return "." not in symbol.attribute
    package = symbol.container.partition(".")[0]
    defined = _dotted(place.path)
    return defined.partition(".")[0] == package or _matches(
        f"{defined}.{symbol.attribute.rpartition('.')[2]}", patterns
    )


def _name(symbol: Symbol) -> str:
    """`torch.optim.AdamW`, `builtins.eval`, `models/custom.py:Head`, `.attention:Attention`."""
    match symbol.kind:
        case SymbolKind.BUILTIN:
            return f"builtins.{symbol.attribute}"
        case SymbolKind.MODULE:
            return f"{symbol.container}.{symbol.attribute}"
        case _:
            return symbol.text


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _dotted(path: str) -> str:
    """The module of a file: what stands behind the folder that it is installed in, else the file's name."""
    for home in (*_INSTALLED, f"{Path(os.__file__).parent.as_posix()}/"):
        if home in path:
            module = path.rpartition(home)[2].removesuffix("i").removesuffix(".py").removesuffix("/__init__")
            return module.replace("/", ".")
    return path.rpartition("/")[2].removesuffix(".py")
