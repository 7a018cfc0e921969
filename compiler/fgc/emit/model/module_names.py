"""The names of a model's modules, as far as its components' constructors say them; plan patterns that match none."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase

from fgc.diagnostics import Diagnostic, Severity, did_you_mean
from fgc.emit.model.components import ComponentLibrary, Definition, constructor
from fgc.emit.model.request import ConfigEntry
from fgc.emit.model.values import Constant, Construction, walk

_CODE = "FGC416"


def module_names(part: Construction, library: ComponentLibrary) -> set[str]:
    """Dotted names below a part: `layers.*.mlp.up_proj`; `*` stands for the number of a list's item."""
    names: set[str] = set()
    for name, value in _assigned(part, library):
        inner = _constructed(value, part)
        if inner is False:
            continue
        path = f"{name}.*" if _is_list(value) else name
        names |= {name, path}
        if isinstance(inner, Construction):
            names |= {f"{path}.{below}" for below in module_names(inner, library)}
    return names


def unmatched_plan_keys(
    model: Construction, library: ComponentLibrary, base_class: str, tp: list[ConfigEntry], pp: list[ConfigEntry]
) -> Iterator[Diagnostic]:
    """FGC416: a pattern of `tp_plan` or a name of `pp_plan` that no module of the base model has."""
    base = next(
        (
            item
            for item in walk(model)
            if isinstance(item, Construction) and isinstance(item.target, Definition) and item.target.name == base_class
        ),
        None,
    )
    names = module_names(base, library) if base is not None else set()
    for plan, entries in (("tp_plan", tp), ("pp_plan", pp)):
        known = names if plan == "tp_plan" else {name for name in names if "." not in name}
        for entry in entries if names else ():
            if _is_of_library(entry) or any(fnmatchcase(name, entry.name) for name in known):
                continue
            message = f"`{plan}` names `{entry.name}`, but the model has no such module"
            help_text = did_you_mean(entry.name, sorted(known))
            yield Diagnostic.at(entry.origin, _CODE, message, severity=Severity.WARNING, help=help_text)


def _is_of_library(entry: ConfigEntry) -> bool:
    """Plans of the template library fit its own parts; a configuration that swaps one leaves some patterns idle."""
    return "fgc_stdlib" in entry.origin.span.source.display_name.split("/")


def _assigned(part: Construction, library: ComponentLibrary) -> list[tuple[str, ast.expr]]:
    """What the constructors of the part's component, and of its component bases, assign to attributes of `self`."""
    found: list[tuple[str, ast.expr]] = []
    if not isinstance(part.target, Definition) or not part.target.is_class:
        return found
    for definition in (part.target, *library.bases(part.target)):
        init = constructor(definition.node) if isinstance(definition.node, ast.ClassDef) else None
        for node in ast.walk(init) if init is not None else ():
            match node:
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                    found.append((name, value))
                case _:
                    pass
    return found


def _constructed(value: ast.expr, part: Construction) -> Construction | bool:
    """The part that an expression constructs; True for another module or parameter, False for no module."""
    if isinstance(value, ast.IfExp):
        value = value.body
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in part.arguments:
            given = part.arguments[node.func.id]
            return given if isinstance(given, Construction) else not isinstance(given, Constant)
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="nn"))):
            return True
        case _:
            return False


def _is_list(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(attr="ModuleList")):
            return True
        case _:
            return False
