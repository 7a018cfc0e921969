"""Predicts the names of a model's modules from its components' constructors, to find patterns that match none.

A part that cannot be read, such as a class of another package, may have any name below it.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator, Set
from fnmatch import fnmatchcase

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.emit.model.components import ComponentLibrary, Definition, constructor
from fgc.emit.model.initial_rules import without_rules
from fgc.emit.model.request import ConfigEntry
from fgc.emit.model.values import Constant, LibraryCallable, PartConstruction, walk
from fgc.text import Origin

_CODE = "FGC416"
_MANY_LAYERS = 256
_OF_TORCH = {  # the parameters of torch's layers without submodules, by class; a parameter itself has an empty name
    "Parameter": ("",),
    "Buffer": (),
    **dict.fromkeys(("Linear", "LayerNorm", "GroupNorm", "Conv1d", "Conv2d", "Conv3d"), ("weight", "bias")),
    **dict.fromkeys(("Embedding", "RMSNorm", "PReLU"), ("weight",)),
    **dict.fromkeys(("Dropout", "Identity", "GELU", "ReLU", "Sigmoid", "SiLU", "Softmax", "Softplus", "Tanh"), ()),
}
_ANYTHING = "**"  # the last word of a name: anything may be below
_REGISTERS = ("add_module", "register_module", "register_parameter", "setattr")  # with names as strings


def module_names(part: PartConstruction, library: ComponentLibrary) -> Set[str]:
    """Returns the dotted names below a part: `layers.*.mlp.up_proj`; `*` is the number of a list's item.

    A name that ends in `.**` covers everything below a part that cannot be read.
    """
    return _parameters_below(part, library).keys()


def _parameters_below(part: PartConstruction, library: ComponentLibrary) -> dict[str, tuple[str, ...]]:
    """Returns the direct parameters of each module below a part; a parameter has one with an empty name."""
    assigned, is_whole = _assigned(part, library)
    found: dict[str, tuple[str, ...]] = {} if is_whole else {_ANYTHING: ()}
    for name, value in ((name, choice) for name, chosen in assigned for choice in _choices(chosen)):
        inner = _constructed(value, part, library)
        if inner is False:
            continue
        path = f"{name}.*" if _is_list(value) else name
        below: dict[str, tuple[str, ...]] = {name: (), path: ()}
        own = _of_torch(value, inner)
        if isinstance(inner, PartConstruction) and isinstance(inner.target, Definition):
            inside = _parameters_below(inner, library)
            below |= {f"{path}.{module}": parameters for module, parameters in inside.items()}
        elif own is None:
            below[f"{path}.{_ANYTHING}"] = ()
        else:
            below[path] = own
        for module, parameters in below.items():  # merged: a base or another branch may assign the same name
            found[module] = (*found.get(module, ()), *parameters)
    return found


def has_modules(part: PartConstruction, library: ComponentLibrary, wanted: tuple[str, ...]) -> bool:
    """Returns True if modules with all these names are certain to be somewhere below a part."""
    found = {name.rpartition(".")[2] for name in module_names(part, library)}
    return found.issuperset(wanted)


def unmatched_plan_keys(
    model: PartConstruction, library: ComponentLibrary, base_class: str, tp: list[ConfigEntry], pp: list[ConfigEntry]
) -> Iterator[Diagnostic]:
    """Yields FGC416 for each pattern of `tp_plan` or name of `pp_plan` that matches no module of the base model."""
    base = next(
        (
            item
            for item in walk(model)
            if isinstance(item, PartConstruction)
            and isinstance(item.target, Definition)
            and item.target.name == base_class
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


def parameter_names(model: PartConstruction, library: ComponentLibrary, num_layers: int | None) -> list[str] | None:
    """Returns all names that parameters of a model can have, with layer numbers; None if a part cannot be read.

    Some may be absent, such as biases, but no parameter has another name. `num_layers` None: any number of layers.
    """
    names = _parameter_names(model, library)
    if names is None:
        return None
    numbers = range(_MANY_LAYERS if num_layers is None else num_layers)
    return [name.replace("*", str(number)) for name in sorted(names) for number in (numbers if "*" in name else (0,))]


def _parameter_names(model: PartConstruction, library: ComponentLibrary) -> set[str] | None:
    """Returns the names with `*` for numbers; None if there are none, or if a part cannot be read."""
    modules = _parameters_below(model, library)
    if any(name.endswith(_ANYTHING) for name in modules):
        return None
    return {f"{module}.{own}" if own else module for module, names in modules.items() for own in names} or None


def idle_rules(model: PartConstruction, library: ComponentLibrary) -> Iterator[Diagnostic]:
    """Yields FGC416 for each rule of the initializer that no parameter reaches, if all parts can be read."""
    names = _parameter_names(model, library)
    _, rules = without_rules(model, library)
    if names is None or any("[" in rule.pattern for rule in rules):
        return
    known = {name.removeprefix("model.").replace("*", "0") for name in names}
    used = {next((rule for rule in rules if fnmatchcase(name, _numbered(rule.pattern))), None) for name in known}
    for rule in rules:
        origin = rule.fill.symbol.origin
        if rule not in used and not _is_written_in_library(origin):
            message = f"no parameter is left for the initializer's rule `{rule.pattern}`"
            help_text = did_you_mean(rule.pattern, sorted({f"*.{'.'.join(name.split('.')[-2:])}" for name in known}))
            if any(fnmatchcase(name, _numbered(rule.pattern)) for name in known):
                help_text = "rules are tried in order: those above match every parameter that it matches"
            yield Diagnostic.at(origin, _CODE, message, help=help_text)


def _numbered(pattern: str) -> str:
    """Returns a pattern with every number replaced by that of the first layer."""
    return re.sub(r"\b\d+\b", "0", pattern)


def _matches(pattern: str, name: str) -> bool:
    """Returns True if a pattern matches a module; `layers.0` matches `layers.*`."""
    words = ["*" if word.isdecimal() else word for word in pattern.split(".")]
    if name.endswith(f".{_ANYTHING}"):
        above = name.split(".")[:-1]
        return len(words) > len(above) and fnmatchcase(".".join(above), ".".join(words[: len(above)]))
    return fnmatchcase(name, ".".join(words))


def _is_of_library(entry: ConfigEntry) -> bool:
    """Returns True for an entry of the template library, which may be idle if a configuration swaps a part."""
    return _is_written_in_library(entry.origin)


def _is_written_in_library(origin: Origin) -> bool:
    return "fgc_stdlib" in origin.span.source.display_name.split("/")


def _assigned(part: PartConstruction, library: ComponentLibrary) -> tuple[list[tuple[str, ast.expr]], bool]:
    """Returns the attributes that constructors of a component and its bases assign, and if that is certain to be all.

    A method that a constructor calls may assign more, and some functions take the name as a string.
    """
    found: list[tuple[str, ast.expr]] = []
    is_whole = True
    if not isinstance(part.target, Definition) or not part.target.is_class:
        return found, is_whole
    definitions = (part.target, *library.bases(part.target))
    methods = {method for definition in definitions for method in _assigning_methods(definition.node)}
    for definition in definitions:
        init = constructor(definition.node) if isinstance(definition.node, ast.ClassDef) else None
        for node in ast.walk(init) if init is not None else ():
            match node:
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                    found.append((name, value))
                case ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=name), value=ast.expr() as value
                ):
                    found.append((name, value))
                case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=called) | ast.Name(id=called)):
                    is_whole &= called not in _REGISTERS and called not in methods
                case _:
                    pass
    return found, is_whole


def _assigning_methods(node: ast.AST) -> set[str]:
    """Returns the methods of a class, except its constructor, that assign to attributes of `self`."""
    methods = [item for item in getattr(node, "body", ()) if isinstance(item, ast.FunctionDef)]
    return {
        method.name
        for method in methods
        if method.name != "__init__"
        and any(isinstance(at, ast.Attribute) and isinstance(at.ctx, ast.Store) for at in ast.walk(method))
    }


def _choices(value: ast.expr) -> Iterator[ast.expr]:
    """Yields the alternatives of a value: `dense() if index < 2 else sparse()` has two."""
    if isinstance(value, ast.IfExp):
        yield from _choices(value.body)
        yield from _choices(value.orelse)
    else:
        yield value


def _constructed(value: ast.expr, part: PartConstruction, library: ComponentLibrary) -> PartConstruction | bool:
    """Returns the part that an expression constructs; True for another module or parameter, False for no module."""
    assert isinstance(part.target, Definition), "only a component has a constructor to read"
    parameters = library.signature(part.target).accepted
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in parameters:
            given = part.arguments.get(node.func.id, Constant.of(None))
            return given if isinstance(given, PartConstruction) else not isinstance(given, Constant)
    return isinstance(value, ast.Call) and not _is_of_python(value.func, part.target)


def _is_of_python(function: ast.expr, component: Definition) -> bool:
    """Returns True for a builtin or a function of the standard library, which does not return a module."""
    while isinstance(function, ast.Attribute):
        function = function.value
    if not isinstance(function, ast.Name) or function.id in component.module.definitions:
        return False
    imported = component.module.imports.get(function.id)
    if imported is None:
        return function.id in dir(builtins)
    return imported.module.partition(".")[0] in sys.stdlib_module_names


def _of_torch(value: ast.expr, inner: PartConstruction | bool) -> tuple[str, ...] | None:
    """Returns the parameters of a known class of torch; None for anything else."""
    if isinstance(inner, PartConstruction):
        target = inner.target
        if not isinstance(target, LibraryCallable) or not target.module.startswith("torch.nn"):
            return None
        return _OF_TORCH.get(target.attribute)
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="nn"), attr=name)):
            return _OF_TORCH.get(name)
        case _:
            return None


def _is_list(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(attr="ModuleList")):
            return True
        case _:
            return False
