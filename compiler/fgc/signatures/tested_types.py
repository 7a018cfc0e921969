"""Types that a function tests its parameters for, beside those of their annotations.

`if isinstance(self.loss_type, str): self.loss_type = [self.loss_type]`: a text is taken too, in spite of `list[str]`.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from fgc.patterns import regex
from fgc.signatures.modules import PythonModule
from fgc.signatures.signature import Parameter

_TEST = regex(r"\bisinstance\(\s*(?:self\.)?(\w+)\s*,\s*([\w.]+|\([\w.,\s]*\))\s*\)")
_PLAIN = {"str", "int", "float", "bool", "list", "tuple", "dict", "bytes"}


def tested_types(module: PythonModule, nodes: Sequence[ast.AST]) -> dict[str, list[str]]:
    """Returns the plain types that the texts of definitions test names for."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        for name, types in _TEST.findall(_text(module, node)):
            known = [word for word in re.findall(r"\w+", types) if word in _PLAIN]
            found.setdefault(name, []).extend(known)
    return found


def with_tested(parameters: Sequence[Parameter], tested: Mapping[str, Sequence[str]]) -> tuple[Parameter, ...]:
    """Returns parameters whose annotations allow the types that they are tested for as well."""
    return tuple(_with(parameter, tested.get(parameter.name, ())) for parameter in parameters)


def _with(parameter: Parameter, types: Sequence[str]) -> Parameter:
    if parameter.annotation is None or not types:
        return parameter
    written = set(_alternatives(parameter.annotation))
    more = [name for name in dict.fromkeys(types) if name not in written]
    return replace(parameter, annotation=" | ".join([parameter.annotation, *more])) if more else parameter


def _alternatives(annotation: str) -> Iterator[str]:
    """The names between which an annotation chooses, without what they hold: `list` of `list[str] | None`."""
    try:
        nodes = [ast.parse(annotation, mode="eval").body]
    except (SyntaxError, ValueError, RecursionError):
        return
    while nodes:
        match nodes.pop():
            case ast.BinOp(left=left, right=right):
                nodes += [left, right]
            case ast.Constant(value=str(quoted)):
                yield from _alternatives(quoted)
            case ast.Subscript(value=owner, slice=inner) if _name_of(owner) in ("Optional", "Union"):
                nodes += inner.elts if isinstance(inner, ast.Tuple) else [inner]
            case ast.Subscript(value=owner):
                yield _name_of(owner).lower()  # `List` is `list`
            case node:
                yield _name_of(node)


def _name_of(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _text(module: PythonModule, node: ast.AST) -> str:
    source, first, last = module.source, getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
    if not first or not last or last > len(source.line_starts):
        return ""
    starts = source.line_starts
    return source.text[starts[first - 1] : starts[last] if last < len(starts) else len(source.text)]
