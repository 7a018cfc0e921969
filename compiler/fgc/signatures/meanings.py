"""Names in annotations to what they mean: read in the file where the annotation is written."""

import ast
import re
from collections.abc import Iterator

from fgc.signatures.callables import Callables
from fgc.signatures.configurations import full_name
from fgc.signatures.dataclass_fields import name_of
from fgc.signatures.meaning import UNKNOWN_MEANING, Meaning, MeaningKind
from fgc.signatures.modules import PythonModule
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import Parameter, ParameterKind
from fgc.signatures.types import ResultTypes
from fgc.signatures.values import ClassValue, NativeValue

_ENUM = "enum.Enum"


class Meanings:
    """Looks up names in annotations."""

    def __init__(self, resolver: Resolver, callables: Callables, results: ResultTypes) -> None:
        self._resolver = resolver
        self._callables = callables
        self._results = results

    def meaning(self, module: PythonModule, name: str) -> Meaning:
        """Returns the meaning of a name, perhaps dotted, in a module."""
        node = ast.parse(name, mode="eval").body
        value = self._resolver.expression(module, node)
        if isinstance(value, ClassValue):
            return self._of_class(value)
        alias = self._alias(module, node)
        if alias is not UNKNOWN_MEANING or not isinstance(value, NativeValue) or not isinstance(value.value, type):
            return alias
        types = self._results.named(value)
        return Meaning(MeaningKind.CLASS, types[0]) if len(types) == 1 else UNKNOWN_MEANING

    def _alias(self, module: PythonModule, node: ast.expr) -> Meaning:
        match node:
            case ast.Name(id=name):
                home, written = self._resolver.definition(module, name)
            case ast.Attribute(value=owner, attr=name):
                found = self._resolver.expression(module, owner)
                inside = getattr(found, "module", None)
                if not isinstance(inside, PythonModule) or isinstance(found, ClassValue):
                    return UNKNOWN_MEANING
                home, written = self._resolver.definition(inside, name)
            case _:
                return UNKNOWN_MEANING
        match written:
            case ast.Call(func=func, args=[_, supertype]) if name_of(func) == "NewType":
                return Meaning(MeaningKind.ALIAS, annotation=ast.unparse(supertype), home=home.home)
            case ast.Subscript() | ast.BinOp() | ast.Name() | ast.Attribute():
                return Meaning(MeaningKind.ALIAS, annotation=ast.unparse(written), home=home.home)
            case _:
                return UNKNOWN_MEANING

    def _of_class(self, cls: ClassValue) -> Meaning:
        classes = self._resolver.classes_in_order(cls)
        if classes is None:
            return UNKNOWN_MEANING
        known = [base for base in classes if isinstance(base, ClassValue)]
        if any(full_name(base) == _ENUM for base in known):
            values = [*_members(known)]
            is_whole = None not in values and all(base is not None for base in classes)
            type_ = next(iter(self._results.instance(cls)), None)
            members = tuple(value for value in values if value is not None)
            return Meaning(MeaningKind.ENUMERATION, type_, values=members, is_whole=is_whole)
        if any(name_of(node) == "TypedDict" for base in known for node in base.node.bases):
            return Meaning(MeaningKind.FIELDS, fields=tuple(_keys(known)))
        types = self._results.named(cls)
        if len(types) != 1 or f".register({cls.node.name}" in cls.module.source.text or _is_registry(cls):
            return UNKNOWN_MEANING
        return Meaning(MeaningKind.CLASS, types[0], self._takes_one(cls))

    def _takes_one(self, cls: ClassValue) -> bool:
        """Returns True if an object may be made of one value."""
        signatures = self._callables.signatures(cls)
        if not signatures:
            return True
        return any(
            len(item.required) <= 1 and (item.takes_any_positional or len(item.positional) > 0) for item in signatures
        )


def _is_registry(cls: ClassValue) -> bool:
    """Returns True if other classes may say that they are of this one."""
    text = cls.module.source.text
    return re.search(rf"\b{cls.node.name}\.register\b", text) is not None or "__instancecheck__" in text


def _members(classes: list[ClassValue]) -> Iterator[str | int | float | None]:
    """The names of members, and their values; None for a value that is not written out."""
    for cls in classes:
        if full_name(cls).startswith("enum."):
            continue
        for node in cls.node.body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                continue
            name = node.targets[0].id
            if name.startswith("_"):
                continue
            yield name
            match node.value:
                case ast.Constant(value=str() | int() | float() as value):
                    yield value
                case ast.Call(func=func) if name_of(func) == "auto":
                    yield name.lower()
                case ast.Tuple() | ast.Attribute() | ast.List():
                    pass  # a value that no configuration writes
                case _:
                    yield None


def _keys(classes: list[ClassValue]) -> Iterator[Parameter]:
    """The keys of a TypedDict; those that may be left out have a default."""
    for cls in classes:
        is_total = not any(
            keyword.arg == "total" and isinstance(keyword.value, ast.Constant) and not keyword.value.value
            for keyword in cls.node.keywords
        )
        for node in cls.node.body:
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            wrapper = name_of(node.annotation.value) if isinstance(node.annotation, ast.Subscript) else ""
            is_optional = wrapper == "NotRequired" or (not is_total and wrapper != "Required")
            default = "..." if is_optional else None
            annotation = ast.unparse(node.annotation)
            yield Parameter(node.target.id, ParameterKind.KEYWORD_ONLY, default, annotation, cls.module.home)
