"""Finds what a call of a value gives: classes by name, from constructors and from written return annotations.

Only what is certain: a class that decides itself what its constructor gives, a function that is decorated, an
annotation that names an abstract class or anything that is not a class is unknown.
"""

import ast

from fgc.signatures.callables import Callables
from fgc.signatures.modules import PythonModule
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import TypeName
from fgc.signatures.values import ClassValue, FunctionValue, InstanceValue, NativeValue, Value

Types = tuple[TypeName, ...]

_ABSTRACT = {"typing", "typing_extensions", "abc", "_collections_abc", "collections.abc", "numbers", "types"}
_CONVERSIONS = ("__float__", "__int__", "__index__", "__fspath__")
_PLAIN_DECORATORS = {"staticmethod", "classmethod", "property", "cached_property", "no_grad", "inference_mode"}
_RESULTS: dict[str, type] = {
    **dict.fromkeys(("len", "hash", "id", "ord"), int),
    **dict.fromkeys(("repr", "chr", "hex", "oct", "bin", "ascii", "format"), str),
    **dict.fromkeys(("isinstance", "issubclass", "callable", "all", "any", "hasattr"), bool),
    **dict.fromkeys(("sorted", "dir"), list),
}
_SHAPELESS = (type, object, super, property, staticmethod, classmethod)


class ResultTypes:
    """Types of what calls give; empty where they are not known, several where it may be one of them."""

    def __init__(self, resolver: Resolver, callables: Callables) -> None:
        self._resolver = resolver
        self._callables = callables

    def result(self, value: Value) -> Types:
        """Returns what calling a value gives."""
        match value:
            case ClassValue():
                return self.instance(value) if self._callables.makes_plainly(value) else ()
            case FunctionValue(nodes=[ast.FunctionDef() as node]):
                return self._returned(value, node)
            case InstanceValue(cls=cls):
                method = self._resolver.attribute(value, "__call__")
                return self.result(method) if isinstance(method, FunctionValue) and cls is not None else ()
            case NativeValue(value=type() as native) if native not in _SHAPELESS:
                return (native_type(native),)
            case NativeValue(value=native):
                name = getattr(native, "__name__", "")
                is_builtin = getattr(native, "__module__", "") == "builtins" and name in _RESULTS
                return (native_type(_RESULTS[name]),) if is_builtin else ()
            case _:
                return ()

    def attribute(self, cls: ClassValue, name: str) -> Types:
        """Returns what an attribute of an object is: a property's result, or what the class's body says."""
        for base in self._resolver.classes_in_order(cls) or ():
            if not isinstance(base, ClassValue):
                return ()
            bindings = base.scope().candidates(name) if name in base.scope().bindings else []
            if not bindings:
                continue
            match [item.node for item in bindings]:
                case [ast.FunctionDef() as node] if _last_names(node) & {"property", "cached_property"}:
                    return self._returned(FunctionValue(base.module, (node,), base, True), node)
                case [ast.AnnAssign(annotation=annotation)]:
                    return self.annotated(base.module, annotation)
                case _:
                    return ()
        return ()

    def annotated(self, module: PythonModule, node: ast.expr) -> Types:
        """The classes that an annotation names; nothing if it names anything else."""
        match node:
            case ast.Constant(value=None):
                return (native_type(type(None)),)
            case ast.Constant(value=str(text)):
                return self._written(module, text)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._all(module, [left, right])
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner) if name == "Optional":
                return self._all(module, [inner, ast.Constant(None)])
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner) if name == "Union":
                return self._all(module, inner.elts if isinstance(inner, ast.Tuple) else [inner])
            case ast.Subscript(value=owner):
                return self.annotated(module, owner)
            case ast.Name() | ast.Attribute():
                return self.named(self._resolver.expression(module, node))
            case _:
                return ()

    def _written(self, module: PythonModule, text: str) -> Types:
        try:
            return self.annotated(module, ast.parse(text, mode="eval").body)
        except (SyntaxError, ValueError, RecursionError):
            return ()

    def _all(self, module: PythonModule, nodes: list[ast.expr]) -> Types:
        found = [self.annotated(module, node) for node in nodes]
        return tuple(dict.fromkeys(item for types in found for item in types)) if all(found) else ()

    def _returned(self, value: FunctionValue, node: ast.FunctionDef) -> Types:
        if node.returns is None or not _last_names(node) <= _PLAIN_DECORATORS:
            return ()
        return self.annotated(value.module, node.returns)

    def named(self, value: Value) -> Types:
        """Returns the type of an annotation that names a value."""
        if isinstance(value, ClassValue):
            return self.instance(value) if self._is_concrete(value) else ()
        if isinstance(value, NativeValue) and isinstance(value.value, type):
            is_abstract = value.value in _SHAPELESS or value.value.__module__ in _ABSTRACT
            return () if is_abstract and value.value is not type(None) else (native_type(value.value),)
        return ()

    def _is_concrete(self, cls: ClassValue) -> bool:
        classes = self._resolver.classes_in_order(cls)
        if classes is None or cls.module.name in _ABSTRACT:
            return False
        return not any(isinstance(base, ClassValue) and base.node.name == "Protocol" for base in classes)

    def instance(self, cls: ClassValue) -> Types:
        """An object of a class."""
        classes = self._resolver.classes_in_order(cls)
        if classes is None:
            return ()
        names: list[str] = []
        conversions: set[str] = set()
        for base in classes:
            if isinstance(base, ClassValue):
                names.append(f"{base.module.name}.{base.node.name}")
                conversions |= {name for name in _CONVERSIONS if name in base.scope().bindings}
            elif base is not None:
                native = native_type(base.value)
                names += native.bases
                conversions |= set(native.conversions)
        is_open = any(base is None for base in classes)
        return (TypeName(cls.node.name, tuple(names), tuple(sorted(conversions)), is_open, cls.module.path),)


def native_type(cls: type) -> TypeName:
    """A class of the interpreter."""
    names = tuple(f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__ if base is not object)
    conversions = tuple(sorted(name for name in _CONVERSIONS if hasattr(cls, name)))
    return TypeName("None" if cls is type(None) else cls.__qualname__, names, conversions)


def _last_names(node: ast.FunctionDef) -> set[str]:
    found = set()
    for decorator in node.decorator_list:
        item = decorator.func if isinstance(decorator, ast.Call) else decorator
        found.add(str(getattr(item, "attr", getattr(item, "id", "?"))))
    return found
