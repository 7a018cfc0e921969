"""Callables that need no module: Python's builtins, and what the language adds to them.

A tag of the language that makes a container is one row of `DISPLAYS` and of `DISPLAY_TAGS`.
"""

import builtins
from collections.abc import Mapping

from fgc.ir.nodes import Call, Node, SymbolKind

DISPLAYS: Mapping[str, type] = {"named_list": list, "named_tuple": tuple, "named_dict": dict}
"""Helpers that make a container of what is written below a tag, and what each makes."""
DISPLAY_TAGS = {"list": "named_list", "tuple": "named_tuple", "dict": "named_dict", "dlist": "named_list"}
VIEWS = ("items", "keys", "values")
OWN_BUILTINS = frozenset({*DISPLAYS, *VIEWS, "getitem", "getattr", "call"})
BUILTINS = OWN_BUILTINS.union(name for name in dir(builtins) if not name.startswith("_"))


def display_type(node: Node) -> type | None:
    """Returns `list`, `tuple` or `dict` for a container that a tag makes; None for every other node."""
    if isinstance(node, Call) and node.callee.kind is SymbolKind.BUILTIN:
        return DISPLAYS.get(node.callee.attribute)
    return None
