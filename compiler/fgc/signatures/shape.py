"""The attributes that objects of a class have, as its files show them: in class bodies, and set on `self`."""

import ast
from collections.abc import Iterator

from fgc.patterns import regex
from fgc.signatures.resolver import Resolver
from fgc.signatures.values import ClassValue

_CHANGED = regex(r"setattr\(|__getattribute__|__dict__|__slots__|\bvars\(")
_REGISTERS = ("register_buffer", "register_parameter", "register_module", "add_module", "__setattr__", "setattr")


def attribute_names(resolver: Resolver, cls: ClassValue) -> tuple[frozenset[str], bool]:
    """The names of attributes, and whether there can be no other."""
    names: set[str] = set(dir(object))
    is_whole = not cls.node.decorator_list
    for base in resolver.classes_in_order(cls) or (None,):
        if base is None:
            is_whole = False
            continue
        if not isinstance(base, ClassValue):
            names |= set(dir(base.value))
            continue
        is_whole = is_whole and "__getattr__" not in base.scope().bindings and not _changes_itself(base)
        is_whole = is_whole and not base.node.decorator_list and not base.node.keywords
        names |= {*base.scope().bindings, *_set_names(base.node)}
    return frozenset(names), is_whole


def _changes_itself(cls: ClassValue) -> bool:
    """Returns True if the lines of a class do what may give its objects further attributes."""
    lines = cls.module.source.text.split("\n")[cls.node.lineno - 1 : cls.node.end_lineno]
    return _CHANGED.search("\n".join(lines)) is not None


def _set_names(node: ast.ClassDef) -> Iterator[str]:
    """The names in `self.name = ...`, and texts that a method registers."""
    for item in ast.walk(node):
        match item:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name
            case ast.Call(func=ast.Attribute(attr=method), args=[*args]) if method in _REGISTERS:
                yield from (arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))
            case _:
                pass
