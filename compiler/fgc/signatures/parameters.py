"""The arguments of a `def` to parameters."""

import ast

from msgspec.structs import replace

from fgc.signatures.signature import Parameter, ParameterKind


def parameters_of(given: ast.arguments, home: str) -> tuple[Parameter, ...]:
    """The parameters of a function; `home` is the file that it stands in."""
    positional = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    found: list[Parameter] = []
    for index, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        kind = ParameterKind.POSITIONAL_ONLY if index < len(given.posonlyargs) else ParameterKind.ANY
        found.append(_parameter(argument, kind, default, home))
    if given.vararg is not None:
        found.append(_parameter(given.vararg, ParameterKind.VAR_POSITIONAL, None, home))
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        found.append(_parameter(argument, ParameterKind.KEYWORD_ONLY, default, home))
    if given.kwarg is not None:
        found.append(_parameter(given.kwarg, ParameterKind.VAR_KEYWORD, None, home))
    return tuple(found)


def without_first(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """The parameters behind `self`; `*args` takes it in if no other does."""
    has_first = parameters and parameters[0].kind in (ParameterKind.POSITIONAL_ONLY, ParameterKind.ANY)
    return parameters[1:] if has_first else parameters


def as_in_stubs(parameter: Parameter) -> Parameter:
    """`__x` of a stub is positional-only, as it was written before `/`."""
    is_hidden = parameter.name.startswith("__") and not parameter.name.endswith("__")
    is_plain = parameter.kind is ParameterKind.ANY
    return replace(parameter, kind=ParameterKind.POSITIONAL_ONLY) if is_hidden and is_plain else parameter


def _parameter(argument: ast.arg, kind: ParameterKind, default: ast.expr | None, home: str) -> Parameter:
    annotation = None if argument.annotation is None else ast.unparse(argument.annotation)
    return Parameter(argument.arg, kind, None if default is None else ast.unparse(default), annotation, home)
