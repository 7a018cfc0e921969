"""Fields of classes that attrs makes (attrs 26) to parameters."""

import ast
from collections.abc import Iterator

from fgc.signatures.dataclass_fields import has_flag, name_of
from fgc.signatures.signature import Parameter, ParameterKind
from fgc.signatures.values import ClassValue

_MAKERS = ("ib", "attrib", "field", "attr")


def attrs_fields(cls: ClassValue, decorator: ast.expr | None) -> dict[str, Parameter | None] | None:
    """The fields that a class adds, None for those that are no parameters; None if a switch is not written out."""
    kw_only = has_flag(decorator, "kw_only", False)
    is_auto = has_flag(decorator, "auto_attribs", name_of(decorator) == "dataclass") if decorator is not None else False
    if kw_only is None or is_auto is None:
        return None
    statements = [*_statements(cls)]
    is_modern = decorator is not None and name_of(decorator) in ("define", "mutable", "frozen")
    made = {name for name, _, value in statements if _maker(value) is not None}
    annotated = {name for name, annotation, _ in statements if annotation is not None}
    takes_all = is_auto or (is_modern and made <= annotated)
    fields: dict[str, Parameter | None] = {}
    for name, annotation, value in statements:
        if "ClassVar" in (annotation or "") or not (takes_all or _maker(value) is not None):
            continue
        switches = [has_flag(_maker(value), "init", True), has_flag(_maker(value), "kw_only", kw_only)]
        if None in switches:
            return None
        parameter = _parameter(cls, name, annotation, value, bool(switches[1]))
        fields[name] = parameter if switches[0] else None
    return fields


def _statements(cls: ClassValue) -> Iterator[tuple[str, str | None, ast.expr | None]]:
    """Names with their annotations and values."""
    for node in cls.node.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                yield name, ast.unparse(annotation), value
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _maker(value) is not None:
                yield name, None, value
            case _:
                pass


def _maker(value: ast.expr | None) -> ast.Call | None:
    return value if isinstance(value, ast.Call) and name_of(value) in _MAKERS else None


def _parameter(cls: ClassValue, name: str, annotation: str | None, value: ast.expr | None, is_named: bool) -> Parameter:
    kind = ParameterKind.KEYWORD_ONLY if is_named else ParameterKind.ANY
    maker = _maker(value)
    if maker is None:
        default = None if value is None else ast.unparse(value)
        return Parameter(name.lstrip("_"), kind, default, annotation, cls.module.home)
    given = {keyword.arg: keyword.value for keyword in maker.keywords}
    is_optional = bool({"default", "factory", None} & set(given)) or bool(maker.args) or _has_default_method(cls, name)
    alias = given.get("alias")
    shown = alias.value if isinstance(alias, ast.Constant) else name.lstrip("_")
    converts = "converter" in given
    return Parameter(
        str(shown), kind, "..." if is_optional else None, None if converts else annotation, cls.module.path
    )


def _has_default_method(cls: ClassValue, name: str) -> bool:
    """Returns True for a field with a method under `@name.default`."""
    marks = (mark for node in cls.node.body for mark in getattr(node, "decorator_list", ()))
    return any(
        isinstance(mark, ast.Attribute)
        and mark.attr == "default"
        and isinstance(mark.value, ast.Name)
        and mark.value.id == name
        for mark in marks
    )
