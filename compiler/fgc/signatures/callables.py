"""What a name stands for to how it is called: functions, methods, constructors."""

import ast
from abc import ABCMeta
from collections.abc import Callable

from msgspec.structs import replace

from fgc.signatures.configurations import config_index, full_name, is_config, without_config
from fgc.signatures.dataclass_fields import (
    dataclass_decorator,
    dataclass_parameters,
    has_flag,
    name_of,
    named_tuple_parameters,
)
from fgc.signatures.decorators import Effect, effect_of
from fgc.signatures.modules import PythonModule
from fgc.signatures.native import native_signature
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import Parameter, ParameterKind, Signature
from fgc.signatures.values import (
    ClassValue,
    FunctionValue,
    InstanceValue,
    NativeValue,
    Value,
)

_Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Signatures = tuple[Signature, ...]
_Base = ClassValue | NativeValue | None
_CONSTRUCTORS = ("__new__", "__init__")
_MAX_DEPTH = 20  # constructors that hand on to constructors
_TRANSPARENT = {"typing.Generic", "typing.Protocol", "abc.ABC", "typing_extensions.Protocol"}


class Callables:
    """Signatures of values; none where they are not known, several for overloads."""

    def __init__(self, resolver: Resolver, stubs: Callable[[object], Signatures] = lambda value: ()) -> None:
        """`stubs` knows compiled callables that do not tell their parameters."""
        self._resolver = resolver
        self._stubs = stubs

    def signatures(self, value: Value) -> Signatures:
        """How a value is called."""
        match value:
            case FunctionValue():
                return self._function(value)
            case ClassValue():
                return self._class(value)
            case InstanceValue(cls=cls):
                method = self._resolver.attribute(value, "__call__")
                return self._function(method) if isinstance(method, FunctionValue) and cls is not None else ()
            case NativeValue(value=native):
                found = native_signature(native)
                return self._stubs(native) if found is None else (found,)
            case _:
                return ()

    def makes_plainly(self, cls: ClassValue) -> bool:
        """Whether calling a class gives an object of that class, and nothing else."""
        classes = self._resolver.classes_in_order(cls)
        if classes is None or self._effect(cls.module, cls.node.decorator_list) is not Effect.NONE:
            return False
        if not all(self._has_plain_making(base) for base in classes):
            return False
        return not any(isinstance(base, ClassValue) and "__new__" in base.scope().bindings for base in classes)

    def _function(self, value: FunctionValue) -> Signatures:
        found = [self._of_node(value, node) for node in value.nodes]
        known = tuple(signature for signature in found if signature is not None)
        return known if len(known) == len(found) else ()

    def _of_node(self, value: FunctionValue, node: _Node) -> Signature | None:
        effect = self._effect(value.module, getattr(node, "decorator_list", []))
        if effect is Effect.UNKNOWN:
            return None
        parameters = _parameters(node.args)
        if value.module.is_stub:
            parameters = tuple(map(_as_in_stubs, parameters))
        if value.is_bound:
            parameters = _without_first(parameters)
        return Signature(parameters, None, effect is Effect.OPEN)

    def _effect(self, module: PythonModule, decorators: list[ast.expr]) -> Effect:
        return max((effect_of(self._resolver, module, item) for item in decorators), default=Effect.NONE)

    def _class(self, cls: ClassValue) -> Signatures:
        classes = self._resolver.classes_in_order(cls)
        decorators = [item for item in cls.node.decorator_list if name_of(item) != "strict" or not is_config(classes)]
        if classes is None or self._effect(cls.module, decorators) is not Effect.NONE:
            return ()
        if any(name_of(base) in ("NamedTuple", "TypedDict") for base in cls.node.bases):
            is_tuple = any(name_of(base) == "NamedTuple" for base in cls.node.bases)
            return (Signature(named_tuple_parameters(cls)),) if is_tuple else ()
        if not all(self._has_plain_making(base) for base in without_config(classes)):
            return ()
        overloads = self._overloaded(classes)
        found = self._constructor(classes, 0, 0) if overloads is None else None
        return overloads or (() if found is None else (found,))

    def _overloaded(self, classes: list[_Base]) -> Signatures | None:
        """What a stub says of a constructor, perhaps in several forms; None if it stands in no stub."""
        for base in classes:
            if not isinstance(base, ClassValue) or full_name(base) in _TRANSPARENT:
                continue
            names = [name for name in _CONSTRUCTORS if name in base.scope().bindings]
            if names:
                return self._forms(base, names) if base.module.is_stub else None
        return None

    def _forms(self, base: ClassValue, names: list[str]) -> Signatures:
        forms = {name: self._function(self._stub_method(base, name)) for name in names}
        if len(forms) > 1 and all(form.takes_any_keyword and form.takes_any_positional for form in forms["__new__"]):
            del forms["__new__"]  # `__new__(cls, *args, **kwargs)`: the other one decides
        return next(iter(forms.values())) if len(forms) == 1 else ()

    def _stub_method(self, base: ClassValue, name: str) -> FunctionValue:
        nodes = [item.node for item in base.scope().candidates(name)]
        functions = tuple(node for node in nodes if isinstance(node, ast.FunctionDef))
        return FunctionValue(base.module, functions if len(functions) == len(nodes) else (), base, is_bound=True)

    def _has_plain_making(self, base: _Base) -> bool:
        """Whether a class leaves it to Python how its subclasses and objects are made."""
        if not isinstance(base, ClassValue):
            return base is None or type(base.value) in (type, ABCMeta)
        if full_name(base) in _TRANSPARENT:
            return True
        for keyword in base.node.keywords:
            if keyword.arg == "metaclass" and name_of(keyword.value) != "ABCMeta":
                return False
        hooks = [item.node for item in base.scope().bindings.get("__init_subclass__", ())]
        return not any(_changes_constructors(node) for node in hooks)

    def _constructor(self, classes: list[_Base], start: int, depth: int) -> Signature | None:
        """The first constructor in the order of look-up, from `start` on."""
        if depth > _MAX_DEPTH:
            return None
        if is_config(classes[start:]) and not _has_init(classes[start]):
            return self._dataclass(classes[start:], is_open=True)
        for index in range(start, len(classes)):
            base = classes[index]
            if not isinstance(base, ClassValue):
                return None if base is None else self._native_constructor(base)
            if full_name(base) in _TRANSPARENT:
                continue
            for name in _CONSTRUCTORS:
                if name in base.scope().bindings:
                    return self._written(classes, index, name, depth)
            if dataclass_decorator(base) is not None and has_flag(dataclass_decorator(base), "init", True):
                return self._dataclass(classes[index:])
        return Signature(())

    def _native_constructor(self, base: NativeValue) -> Signature | None:
        found = native_signature(base.value)
        stubs = self._stubs(base.value) if found is None else ()
        return stubs[0] if len(stubs) == 1 else found

    def _dataclass(self, classes: list[_Base], is_open: bool = False) -> Signature | None:
        known = [base for base in classes if isinstance(base, ClassValue)]
        if len(known) < len([base for base in classes if not isinstance(base, NativeValue)]):
            return None
        parameters = dataclass_parameters(known, config_index(classes) or 0)
        return None if parameters is None else Signature(parameters, is_open=is_open)

    def _written(self, classes: list[_Base], index: int, name: str, depth: int) -> Signature | None:
        base = classes[index]
        assert isinstance(base, ClassValue), "only classes of files have written constructors"
        nodes = [item.node for item in base.scope().candidates(name)]
        if len(nodes) != 1 or not isinstance(nodes[0], ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        node = nodes[0]
        effect = self._effect(base.module, node.decorator_list)
        if effect is Effect.UNKNOWN:
            return None
        forwarded = self._forwarded(classes, index, node, depth)
        has_both = name == "__new__" and any(_has_init(other) for other in classes)
        return Signature(_without_first(_parameters(node.args)), forwarded, effect is Effect.OPEN or has_both)

    def _forwarded(self, classes: list[_Base], index: int, node: _Node, depth: int) -> tuple[str, ...] | None:
        """The keywords that the next constructor takes, if `**kwargs` goes there whole and nowhere else."""
        kwarg = node.args.kwarg
        if kwarg is None or not _only_goes_up(node, kwarg.arg):
            return None
        parent = self._constructor(classes, index + 1, depth + 1)
        return None if parent is None or parent.takes_any_keyword else parent.keyword_names


def _parameters(given: ast.arguments) -> tuple[Parameter, ...]:
    positional = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    found: list[Parameter] = []
    for index, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        kind = ParameterKind.POSITIONAL_ONLY if index < len(given.posonlyargs) else ParameterKind.ANY
        found.append(_parameter(argument, kind, default))
    if given.vararg is not None:
        found.append(_parameter(given.vararg, ParameterKind.VAR_POSITIONAL, None))
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        found.append(_parameter(argument, ParameterKind.KEYWORD_ONLY, default))
    if given.kwarg is not None:
        found.append(_parameter(given.kwarg, ParameterKind.VAR_KEYWORD, None))
    return tuple(found)


def _parameter(argument: ast.arg, kind: ParameterKind, default: ast.expr | None) -> Parameter:
    annotation = None if argument.annotation is None else ast.unparse(argument.annotation)
    return Parameter(argument.arg, kind, None if default is None else ast.unparse(default), annotation)


def _as_in_stubs(parameter: Parameter) -> Parameter:
    """`__x` of a stub is positional-only, as it was written before `/`."""
    is_hidden = parameter.name.startswith("__") and not parameter.name.endswith("__")
    is_plain = parameter.kind is ParameterKind.ANY
    return replace(parameter, kind=ParameterKind.POSITIONAL_ONLY) if is_hidden and is_plain else parameter


def _without_first(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """The parameters behind `self`; `*args` takes it in if no other does."""
    has_first = parameters and parameters[0].kind in (ParameterKind.POSITIONAL_ONLY, ParameterKind.ANY)
    return parameters[1:] if has_first else parameters


def _only_goes_up(node: _Node, kwargs: str) -> bool:
    """Whether `kwargs` is used once, in a call of `super().__init__`."""
    handed = 0
    for item in ast.walk(node):
        match item:
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")):
                values = [keyword.value for keyword in item.keywords if keyword.arg is None]
                handed += sum(isinstance(value, ast.Name) and value.id == kwargs for value in values)
            case _:
                pass
    uses = sum(isinstance(item, ast.Name) and item.id == kwargs for item in ast.walk(node))
    return handed == uses == 1


def _changes_constructors(node: ast.AST) -> bool:
    """Whether `__init_subclass__` may touch how objects are made."""
    for item in ast.walk(node):
        name = getattr(item, "attr", getattr(item, "id", getattr(item, "value", None)))
        if isinstance(name, str) and (name in _CONSTRUCTORS or name in ("dataclass", "setattr", "__signature__")):
            return True
    return False


def _has_init(base: _Base) -> bool:
    return isinstance(base, ClassValue) and "__init__" in base.scope().bindings
