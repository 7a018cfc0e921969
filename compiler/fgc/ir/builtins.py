"""Callables that need no module: Python's builtins, and what the language adds to them."""

import builtins

OWN_BUILTINS = frozenset(
    {"items", "keys", "values", "getitem", "getattr", "call", "named_list", "named_tuple", "named_dict"}
)
BUILTINS = OWN_BUILTINS.union(name for name in dir(builtins) if not name.startswith("_"))
