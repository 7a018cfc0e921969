"""Fields of pydantic models (pydantic 2) to parameters.

A keyword that is no field is thrown away, unless the model forbids it or keeps it.
"""

import ast
from collections.abc import Iterator, Sequence

from fgc.signatures.dataclass_fields import name_of
from fgc.signatures.signature import Parameter, ParameterKind, Signature
from fgc.signatures.values import ClassValue

_BY_NAME = ("populate_by_name", "validate_by_name", "alias_generator")


def pydantic_fields(cls: ClassValue) -> dict[str, Parameter | None] | None:
    """The fields that a class adds; None stands for a name that a base's field no longer has."""
    fields: dict[str, Parameter | None] = {}
    for node in cls.node.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value) if name[0] != "_":
                text = ast.unparse(annotation)
                if "ClassVar" not in text and name != "model_config":
                    fields[name] = _parameter(cls, name, text, value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in fields:
                fields[name] = _parameter(cls, name, None, value)
            case _:
                pass
    return fields


def pydantic_rules(classes: Sequence[ClassValue], parameters: tuple[Parameter, ...]) -> Signature:
    """A model's signature with what its configuration says of other keywords."""
    extra = next((value for cls in classes if (value := _setting(cls, "extra")) is not None), "ignore")
    is_renamed = any(_setting(cls, name) not in (None, False) for cls in classes for name in _BY_NAME)
    is_open = is_renamed or any(_looks_before(cls) for cls in classes)
    more = (Parameter("extra", ParameterKind.VAR_KEYWORD),) if extra not in ("ignore", "forbid") else ()
    return Signature((*parameters, *more), is_open=is_open, drops_unknown=extra == "ignore")


def _parameter(cls: ClassValue, name: str, annotation: str | None, value: ast.expr | None) -> Parameter:
    kind, home = ParameterKind.KEYWORD_ONLY, cls.module.home
    field = value if isinstance(value, ast.Call) and name_of(value) == "Field" else None
    if field is None:
        is_hidden = "Field(" in (annotation or "") or annotation is None
        default = ast.unparse(value) if value is not None else "..." if is_hidden else None
        return Parameter(
            name, kind, None if default == "..." and not is_hidden else default, annotation, home, converts=True
        )
    given = {keyword.arg: keyword.value for keyword in field.keywords}
    first = field.args[0] if field.args else given.get("default")
    is_required = first is None or (isinstance(first, ast.Constant) and first.value is ...)
    is_optional = not is_required or "default_factory" in given or None in given
    alias = given.get("validation_alias", given.get("alias"))
    shown = alias.value if isinstance(alias, ast.Constant) and isinstance(alias.value, str) else name
    return Parameter(
        shown, kind, "..." if is_optional or "Field(" in (annotation or "") else None, annotation, home, converts=True
    )


def _setting(cls: ClassValue, name: str) -> object:
    """A setting of a model, if it is written out; `...` if it is written otherwise; None if it is not written."""
    for keyword in (*_configuration(cls), *cls.node.keywords):
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
    return None


def _configuration(cls: ClassValue) -> Iterator[ast.keyword]:
    for node in cls.node.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="model_config")], value=value):
                yield from _keywords(value)
            case ast.AnnAssign(target=ast.Name(id="model_config"), value=ast.expr() as value):
                yield from _keywords(value)
            case ast.ClassDef(name="Config", body=body):
                for item in body:
                    if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
                        yield ast.keyword(item.targets[0].id, item.value)
            case _:
                pass


def _keywords(value: ast.expr) -> Iterator[ast.keyword]:
    match value:
        case ast.Call(keywords=keywords):
            yield from keywords
        case ast.Dict(keys=keys, values=values):
            for key, item in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant):
                    yield ast.keyword(str(key.value), item)
        case _:
            yield ast.keyword("extra", ast.Constant(...))


def _looks_before(cls: ClassValue) -> bool:
    """Returns True if a validator sees what is given before the fields do."""
    marks = [mark for node in cls.node.body for mark in getattr(node, "decorator_list", ())]
    return any(
        name_of(mark) in ("model_validator", "root_validator") and "after" not in ast.unparse(mark) for mark in marks
    )
