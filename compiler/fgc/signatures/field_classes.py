"""Classes whose constructor is made from their fields: by a decorator, by a base, by a metaclass.

Dataclasses, attrs, pydantic, and whatever says of itself with `dataclass_transform` (PEP 681) that it makes them.
"""

import ast
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from fgc.signatures.attrs_fields import attrs_fields
from fgc.signatures.configurations import full_name
from fgc.signatures.dataclass_fields import dataclass_decorator, has_flag, name_of, own_fields
from fgc.signatures.pydantic_fields import pydantic_fields, pydantic_rules
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import Parameter, ParameterKind, Signature
from fgc.signatures.tested_types import tested_types, with_tested
from fgc.signatures.values import ClassValue, FunctionValue, NativeValue, PartialValue, Value

_PYDANTIC = "pydantic.main.BaseModel"
_Base = ClassValue | NativeValue | None
_Fields = dict[str, Parameter | None]


class Style(Enum):
    """Whose rules say which fields are parameters."""

    DATACLASS = "dataclass"
    ATTRS = "attrs"
    PYDANTIC = "pydantic"
    TRANSFORM = "dataclass_transform"


class Made(Struct, frozen=True):
    """The way a class is made: `base` makes all of its subclasses, `decorator` this class.

    `transform` is the `dataclass_transform(...)` that says so.
    """

    style: Style
    base: ClassValue | None = None
    decorator: ast.expr | None = None
    transform: ast.Call | None = None

    def covers(self, resolver: Resolver, cls: ClassValue) -> bool:
        """Returns True if the constructor of the class is made, if it has not written one."""
        if self.base is not None and cls is not self.base:
            return True
        own = _by_decorator(resolver, cls)
        return own is not None and has_flag(own.decorator, "init", True) is not False

    def signature(self, resolver: Resolver, classes: Sequence[_Base]) -> Signature | None:
        """The constructor of the first of some classes in their order of look-up; None if it is not certain."""
        if any(base is None for base in classes):
            return None
        below = [base for base in classes if isinstance(base, ClassValue)]
        if self.base is not None and self.base in below:
            below = below[: below.index(self.base)]
        fields: _Fields = {}
        for cls in reversed(below):
            own = self._own(resolver, cls)
            if own is None:
                return None
            for name in own if self.style is Style.ATTRS else ():
                fields.pop(name, None)  # a field that is defined again stands at the end
            fields.update(own)
        found = [parameter for parameter in fields.values() if parameter is not None]
        for cls in below:
            found = [*with_tested(found, tested_types(cls.module, [cls.node]))]
        plain = [parameter for parameter in found if parameter.kind is ParameterKind.ANY]
        named = [parameter for parameter in found if parameter.kind is ParameterKind.KEYWORD_ONLY]
        parameters = (*plain, *named)
        if self.style is Style.PYDANTIC:
            return pydantic_rules(below, parameters)
        adds_fields = self.base is not None and "__init_subclass__" in self.base.scope().bindings  # flax: at the end
        return Signature(parameters, deals_positionals=adds_fields)

    def _own(self, resolver: Resolver, cls: ClassValue) -> _Fields | None:
        """The fields that a class adds."""
        how = self if self.base is not None else _by_decorator(resolver, cls)
        if how is None:
            return {}
        if how.style is Style.ATTRS:
            return attrs_fields(cls, how.decorator)
        if how.style is Style.PYDANTIC:
            return pydantic_fields(cls)
        switches = how.decorator if how.base is None else ast.Call(ast.Name("class"), [], cls.node.keywords)
        kw_only = has_flag(switches, "kw_only", bool(has_flag(how.transform, "kw_only_default", False)))
        return None if kw_only is None else own_fields(cls, kw_only)


def how_made(resolver: Resolver, classes: Sequence[_Base]) -> Made | None:
    """Returns how the first class in an order of look-up is made that fields decide, itself or by a base."""
    for base in classes:
        if not isinstance(base, ClassValue):
            continue
        found = _by_decorator(resolver, base) or _as_base(resolver, base)
        if found is not None:
            return found
    return None


def _by_decorator(resolver: Resolver, cls: ClassValue) -> Made | None:
    for decorator in cls.node.decorator_list:
        callee = decorator.func if isinstance(decorator, ast.Call) else decorator
        found = resolver.expression(cls.module, callee)
        value = found.target if isinstance(found, PartialValue) else found
        if isinstance(value, FunctionValue) and value.module.name in ("attr._make", "attr._next_gen"):
            return Made(Style.ATTRS, decorator=decorator)
        if isinstance(value, FunctionValue) and value.module.name == "dataclasses" and isinstance(found, PartialValue):
            return None if {"init", "kw_only"} & set(found.keywords) else Made(Style.DATACLASS, decorator=decorator)
        transform = _transform_of(value)
        if transform is not None:
            return Made(Style.TRANSFORM, decorator=decorator, transform=transform)
    plain = dataclass_decorator(cls)
    return None if plain is None else Made(Style.DATACLASS, decorator=plain)


def _as_base(resolver: Resolver, base: ClassValue) -> Made | None:
    """Returns how a class makes its subclasses, by itself or by its metaclass."""
    if full_name(base) == _PYDANTIC:
        return Made(Style.PYDANTIC, base)
    makers = [base, *(resolver.expression(base.module, k.value) for k in base.node.keywords if k.arg == "metaclass")]
    for maker in makers:
        transform = _transform_of(maker)
        if transform is not None:
            return Made(Style.TRANSFORM, base, transform=transform)
    return None


def _transform_of(value: Value) -> ast.Call | None:
    """The `@dataclass_transform(...)` of a definition."""
    nodes = value.nodes if isinstance(value, FunctionValue) else (value.node,) if isinstance(value, ClassValue) else ()
    for node in nodes:
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and name_of(decorator) in (
                "dataclass_transform",
                "__dataclass_transform__",
            ):
                return decorator
    return None
