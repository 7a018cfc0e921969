"""The names of a model's modules, as far as its components' constructors say them; plan patterns that match none.

A part whose inside cannot be read, such as a class of another package, has every name below it.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.emit.model.components import ComponentLibrary, Definition, constructor
from fgc.emit.model.initial_rules import without_rules
from fgc.emit.model.request import ConfigEntry
from fgc.emit.model.values import Constant, Construction, Library, walk
from fgc.text import Origin

_CODE = "FGC416"
_CONTAINERS = ("ModuleList", "ModuleDict", "Sequential")
_OF_TORCH = ("weight", "bias")  # the parameters of its layers
_ANYTHING = "**"  # the last word of a name: whatever may be below


def module_names(part: Construction, library: ComponentLibrary) -> set[str]:
    """Dotted names below a part: `layers.*.mlp.up_proj`; `*` stands for the number of a list's item.

    A name that ends in `.**` stands for all below a part that cannot be read.
    """
    names: set[str] = set()
    for name, value in _assigned(part, library):
        inner = _constructed(value, part, library)
        if inner is False:
            continue
        path = f"{name}.*" if _is_list(value) else name
        names |= {name, path}
        if isinstance(inner, Construction) and isinstance(inner.target, Definition):
            names |= {f"{path}.{below}" for below in module_names(inner, library)}
        elif not _is_leaf(value, inner):
            names.add(f"{path}.{_ANYTHING}")
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
            if _is_of_library(entry) or any(_matches(entry.name, name) for name in known):
                continue
            message = f"`{plan}` names `{entry.name}`, but the model has no such module"
            shown = sorted(name for name in known if not name.endswith((".*", _ANYTHING)))
            help_text = did_you_mean(entry.name, shown) or f"its modules: {', '.join(shown)}"
            yield Diagnostic.at(entry.origin, _CODE, message, help=help_text)


def idle_rules(model: Construction, library: ComponentLibrary) -> Iterator[Diagnostic]:
    """FGC416: a rule of the initializer for which no parameter is left. What cannot be read may have any parameter."""
    names = {name.removeprefix("model.") for name in module_names(model, library)}
    _, rules = without_rules(model, library)
    if not names or any(name.endswith(_ANYTHING) for name in names) or any("[" in rule.pattern for rule in rules):
        return
    numbered = {name.replace("*", "0") for name in names}
    known = {*numbered, *(f"{name}.{own}" for name in numbered for own in _OF_TORCH)}
    used = {next((rule for rule in rules if fnmatchcase(name, _numbered(rule.pattern))), None) for name in known}
    for rule in rules:
        origin = rule.fill.symbol.origin
        if rule not in used and not _is_written_in_library(origin):
            message = f"no parameter is left for the initializer's rule `{rule.pattern}`"
            shown = sorted({f"*.{'.'.join(name.split('.')[-2:])}" for name in known if name.endswith(_OF_TORCH)})
            help_text = did_you_mean(rule.pattern, shown)
            if any(fnmatchcase(name, _numbered(rule.pattern)) for name in known):
                help_text = "rules are tried in order: those above match every parameter that it matches"
            yield Diagnostic.at(origin, _CODE, message, help=help_text)


def _numbered(pattern: str) -> str:
    """A pattern with all layers' numbers taken for that of the first."""
    return re.sub(r"\b\d+\b", "0", pattern)


def _matches(pattern: str, name: str) -> bool:
    """Returns whether a pattern means a module; `layers.0` means one of `layers.*`."""
    words = ["*" if word.isdecimal() else word for word in pattern.split(".")]
    if name.endswith(f".{_ANYTHING}"):
        above = name.split(".")[:-1]
        return len(words) > len(above) and fnmatchcase(".".join(above), ".".join(words[: len(above)]))
    return fnmatchcase(name, ".".join(words))


def _is_of_library(entry: ConfigEntry) -> bool:
    """Plans of the template library fit its own parts; a configuration that swaps one leaves some patterns idle."""
    return _is_written_in_library(entry.origin)


def _is_written_in_library(origin: Origin) -> bool:
    return "fgc_stdlib" in origin.span.source.display_name.split("/")


def _assigned(part: Construction, library: ComponentLibrary) -> list[tuple[str, ast.expr]]:
    """Returns what the constructors of the part's component, and of its bases, assign to attributes of `self`."""
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


def _constructed(value: ast.expr, part: Construction, library: ComponentLibrary) -> Construction | bool:
    """The part that an expression constructs; True for another module or parameter, False for no module."""
    assert isinstance(part.target, Definition), "only a component has a constructor to read"
    if isinstance(value, ast.IfExp):
        value = value.body
    parameters = library.signature(part.target).by_name
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in parameters:
            given = part.arguments.get(node.func.id, Constant.of(None))
            return given if isinstance(given, Construction) else not isinstance(given, Constant)
    return isinstance(value, ast.Call) and not _is_of_python(value.func, part.target)


def _is_of_python(function: ast.expr, component: Definition) -> bool:
    """Returns whether a builtin or the standard library defines what is called: that makes no module."""
    while isinstance(function, ast.Attribute):
        function = function.value
    if not isinstance(function, ast.Name) or function.id in component.module.definitions:
        return False
    imported = component.module.imports.get(function.id)
    if imported is None:
        return function.id in dir(builtins)
    return imported.module.partition(".")[0] in sys.stdlib_module_names


def _is_leaf(value: ast.expr, inner: Construction | bool) -> bool:
    """Returns whether a module is one of torch's own layers, which have no modules inside."""
    if isinstance(inner, Construction):
        return isinstance(inner.target, Library) and inner.target.module.startswith("torch.nn")
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="nn"), attr=name)):
            return name not in _CONTAINERS
        case _:
            return False


def _is_list(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(attr="ModuleList")):
            return True
        case _:
            return False
