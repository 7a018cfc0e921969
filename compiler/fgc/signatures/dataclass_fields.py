"""Dataclasses and NamedTuples to the parameters of their constructors."""

import ast
from collections.abc import Sequence

from fgc.signatures.signature import Parameter, ParameterKind
from fgc.signatures.tested_types import tested_types, with_tested
from fgc.signatures.values import ClassValue


def dataclass_decorator(cls: ClassValue) -> ast.expr | None:
    """The decorator that makes a class a dataclass."""
    return next((node for node in cls.node.decorator_list if name_of(node) == "dataclass"), None)


def has_flag(call: ast.expr | None, name: str, default: bool) -> bool | None:
    """A switch of `dataclass(...)` or `field(...)`; None if it is not written out."""
    if not isinstance(call, ast.Call):
        return default
    for keyword in call.keywords:
        if keyword.arg is None:
            return None
        if keyword.arg == name:
            value = keyword.value
            return value.value if isinstance(value, ast.Constant) and isinstance(value.value, bool) else None
    return default


def dataclass_parameters(classes: Sequence[ClassValue], count_made: int = 0) -> tuple[Parameter, ...] | None:
    """The parameters of a dataclass, from its order of look-up; None if a switch is not written out.

    The first `count_made` classes have no decorator: a base makes them dataclasses with keywords only.
    """
    fields: dict[str, Parameter | None] = {}
    for index, cls in reversed([*enumerate(classes)]):
        decorator, is_made = dataclass_decorator(cls), index < count_made
        if decorator is None and not is_made:
            continue
        kw_only = is_made or has_flag(decorator, "kw_only", False)
        own = None if kw_only is None else own_fields(cls, kw_only)
        if own is None:
            return None
        fields.update(own)
    found = [parameter for parameter in fields.values() if parameter is not None]
    for cls in classes:
        found = [*with_tested(found, tested_types(cls.module, [cls.node]))]
    plain = [parameter for parameter in found if parameter.kind is ParameterKind.ANY]
    return (*plain, *(parameter for parameter in found if parameter.kind is ParameterKind.KEYWORD_ONLY))


def named_tuple_parameters(cls: ClassValue) -> tuple[Parameter, ...]:
    """The parameters of a class with the base NamedTuple."""
    return tuple(
        Parameter(node.target.id, ParameterKind.ANY, _text(node.value), _text(node.annotation), cls.module.home)
        for node in cls.node.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    )


def own_fields(cls: ClassValue, kw_only: bool) -> dict[str, Parameter | None] | None:
    """The fields that a class adds, None for those that are no parameters; None if a switch is not written out."""
    fields: dict[str, Parameter | None] = {}
    for name, bindings in cls.scope().bindings.items():
        nodes = [item.node for item in bindings if isinstance(item.node, ast.AnnAssign)]
        if not nodes:
            continue
        node = nodes[-1]
        marker = _text(node.annotation) or ""
        if marker.rpartition(".")[2] == "KW_ONLY":
            kw_only = True
        elif "ClassVar" not in marker:
            is_keyword = has_flag(_field(node), "kw_only", kw_only)
            is_parameter = has_flag(_field(node), "init", True)
            if is_keyword is None or is_parameter is None:
                return None
            fields[name] = _parameter(cls, name, node, is_keyword) if is_parameter else None
    return fields


def _parameter(cls: ClassValue, name: str, node: ast.AnnAssign, is_keyword: bool) -> Parameter:
    home, kind = cls.module.home, (ParameterKind.KEYWORD_ONLY if is_keyword else ParameterKind.ANY)
    annotation = _text(node.annotation)
    field = _field(node)
    if field is None:
        return Parameter(name, kind, _text(node.value), annotation, home)
    given = {keyword.arg: keyword.value for keyword in field.keywords}
    if name_of(field) != "field":  # whatever makes a field here, it may have a default
        return Parameter(name, kind, _text(given.get("default")) or "...", annotation, home)
    default = given.get("default") or given.get("default_factory") or given.get("factory")
    return Parameter(name, kind, _text(default), annotation, home)


def _field(node: ast.AnnAssign) -> ast.Call | None:
    """Returns what makes a field: `field(...)`, and makers of fields like `interval(min=0.0)(default=0.02)`."""
    if not isinstance(node.value, ast.Call):
        return None
    is_made = isinstance(node.value.func, ast.Call) and "default" in {word.arg for word in node.value.keywords}
    return node.value if is_made or "field" in name_of(node.value).lower() else None


def _text(node: ast.expr | None) -> str | None:
    return None if node is None else ast.unparse(node)


def name_of(node: ast.expr) -> str:
    """The last part of the name that an expression mentions or calls."""
    node = node.func if isinstance(node, ast.Call) else node
    return str(getattr(node, "attr", getattr(node, "id", "")))
