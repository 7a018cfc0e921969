"""Classes to how they are called: written constructors, fields, metaclasses, and what bases do to their subclasses."""

import ast
from abc import ABCMeta
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fgc.signatures.configurations import config_index, full_name, is_config, without_config
from fgc.signatures.dataclass_fields import dataclass_parameters, name_of, named_tuple_parameters
from fgc.signatures.decorators import Effect
from fgc.signatures.field_classes import Made, how_made
from fgc.signatures.native import native_signature
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import Parameter, ParameterKind, Signature
from fgc.signatures.values import ClassValue, FunctionValue, NativeValue

if TYPE_CHECKING:
    from fgc.signatures.callables import Callables

Signatures = tuple[Signature, ...]
Base = ClassValue | NativeValue | None
_CONSTRUCTORS = ("__new__", "__init__")
_MAX_DEPTH = 20  # constructors that hand on to constructors
_TRANSPARENT = {"typing.Generic", "typing.Protocol", "abc.ABC", "typing_extensions.Protocol"}
_ENUM = "enum.Enum"
_LISTS_MEMBERS = {"__dict__", "dir", "vars", "getmembers"}


class Constructors:
    """Signatures of classes; none where they are not known, several for overloads."""

    def __init__(self, resolver: Resolver, callables: "Callables") -> None:
        self._resolver = resolver
        self._callables = callables
        self._depth = 0

    def signatures(self, cls: ClassValue) -> Signatures:
        """Returns the signatures of a class."""
        classes = self._resolver.classes_in_order(cls)
        if classes is None:
            return ()
        if any(isinstance(base, ClassValue) and full_name(base) == _ENUM for base in classes):
            return () if cls.module.is_stub else (_of_enumeration(),)
        if any(name_of(base) in ("NamedTuple", "TypedDict") for base in cls.node.bases):
            is_tuple = any(name_of(base) == "NamedTuple" for base in cls.node.bases)
            return (Signature(named_tuple_parameters(cls)) if is_tuple else _of_typed_dict(cls),)
        if not self._is_undecorated(cls, classes):
            return ()
        called = self._metaclass_call(cls, classes)
        if called is not None:
            return called
        if not all(self._has_plain_making(base) for base in without_config(classes)):
            return ()
        overloads = self._overloaded(classes)
        found = self.found(classes, 0, cls) if overloads is None else None
        return overloads or (() if found is None else (found,))

    def makes_plainly(self, cls: ClassValue) -> bool:
        """Returns True if calling a class gives an object of that class, and nothing else."""
        classes = self._resolver.classes_in_order(cls)
        if classes is None or not self._is_undecorated(cls, classes):
            return False
        is_plain = all(self._has_plain_making(base) for base in without_config(classes))
        if self._metaclass_call(cls, classes) is not None or not is_plain:
            return False
        return not any(isinstance(base, ClassValue) and "__new__" in base.scope().bindings for base in classes)

    def found(self, classes: list[Base], start: int, cls: ClassValue) -> Signature | None:
        """The first constructor in the order of look-up, from `start` on."""
        if self._depth > _MAX_DEPTH:
            return None
        self._depth += 1
        try:
            return self._found(classes, start, cls)
        finally:
            self._depth -= 1

    def _found(self, classes: list[Base], start: int, cls: ClassValue) -> Signature | None:
        if is_config(classes[start:]) and not _has_init(classes[start]):
            return self._dataclass(classes[start:], is_open=True)
        made = how_made(self._resolver, classes)
        for index in range(start, len(classes)):
            base = classes[index]
            if not isinstance(base, ClassValue):
                return None if base is None else self._native_constructor(base)
            if full_name(base) in _TRANSPARENT:
                continue
            for name in _CONSTRUCTORS:
                if name in base.scope().bindings and not (
                    index and made and made.base is base and _takes_only_names(base, name)
                ):
                    return self._written(classes, index, name, cls)
            if made is not None and made.covers(self._resolver, base):
                return made.signature(self._resolver, classes[index:])
        return Signature(())

    def _is_undecorated(self, cls: ClassValue, classes: list[Base]) -> bool:
        decorators = [item for item in cls.node.decorator_list if name_of(item) != "strict" or not is_config(classes)]
        made = how_made(self._resolver, classes)
        decorators = [item for item in decorators if made is None or item is not made.decorator]
        return self._callables.decoration(cls.module, decorators).effect is Effect.NONE

    def _metaclass_call(self, cls: ClassValue, classes: list[Base]) -> Signatures | None:
        """Returns the signatures of a metaclass's own `__call__`; None if no metaclass has one."""
        for metaclass in _metaclasses(self._resolver, classes):
            order = [] if metaclass is None else self._resolver.classes_in_order(metaclass) or []
            for base in order:
                if isinstance(base, ClassValue) and "__call__" in base.scope().bindings:
                    method = self._resolver.member(cls, base, "__call__", is_instance=True)
                    return self._of_metaclass(method, classes, cls) if isinstance(method, FunctionValue) else ()
        return None

    def _of_metaclass(self, method: FunctionValue, classes: list[Base], cls: ClassValue) -> Signatures:
        """A `__call__` that takes anything makes what its class makes; nothing is certain of that."""
        found = self._callables.function(FunctionValue(method.module, method.nodes, None, is_bound=True))
        is_any = any(item.takes_any_keyword or item.takes_any_positional for item in found)
        if not is_any or not _goes_to_type(method):
            return () if is_any else found
        made = self.found(classes, 0, cls)
        return () if made is None else (made,)

    def _overloaded(self, classes: list[Base]) -> Signatures | None:
        """Returns the constructor of a stub, perhaps in several forms; None if it stands in no stub."""
        for base in classes:
            if isinstance(base, NativeValue):
                several = self._callables.signatures(base)
                return several if len(several) > 1 and how_made(self._resolver, classes) is None else None
            if base is None or full_name(base) in _TRANSPARENT:
                continue
            names = [name for name in _CONSTRUCTORS if name in base.scope().bindings]
            if names:
                return self._forms(base, names) if base.module.is_stub else None
        first = classes[0]
        is_short = isinstance(first, ClassValue) and first.module.is_stub and how_made(self._resolver, classes) is None
        return () if is_short and not self._is_empty(classes) else None

    def _is_empty(self, classes: list[Base]) -> bool:
        """Returns True if the stub of a class shows no fields that a constructor might take."""
        known = [base for base in classes if isinstance(base, ClassValue)]
        return not any(isinstance(node, ast.AnnAssign) for base in known for node in base.node.body)

    def _forms(self, base: ClassValue, names: list[str]) -> Signatures:
        forms = {name: self._callables.function(self._stub_method(base, name)) for name in names}
        if len(forms) > 1 and all(form.takes_any_keyword and form.takes_any_positional for form in forms["__new__"]):
            del forms["__new__"]  # `__new__(cls, *args, **kwargs)`: the other one decides
        return next(iter(forms.values())) if len(forms) == 1 else ()

    def _stub_method(self, base: ClassValue, name: str) -> FunctionValue:
        nodes = [item.node for item in base.scope().candidates(name)]
        functions = tuple(node for node in nodes if isinstance(node, ast.FunctionDef))
        return FunctionValue(base.module, functions if len(functions) == len(nodes) else (), base, is_bound=True)

    def _has_plain_making(self, base: Base) -> bool:
        """Returns True if a class leaves it to Python how its subclasses and objects are made."""
        if not isinstance(base, ClassValue):
            return base is None or type(base.value) in (type, ABCMeta)
        if full_name(base) in _TRANSPARENT:
            return True
        if any(metaclass is None or _alters(metaclass) for metaclass in _metaclasses(self._resolver, [base])):
            return False
        hooks = [item.node for item in base.scope().bindings.get("__init_subclass__", ())]
        return not any(_changes_constructors(node) for node in hooks)

    def _native_constructor(self, base: NativeValue) -> Signature | None:
        known = native_signature(base.value)
        if known is not None:
            return known
        stubs = self._callables.signatures(base)
        return stubs[0] if len(stubs) == 1 else None

    def _dataclass(self, classes: list[Base], is_open: bool = False) -> Signature | None:
        known = [base for base in classes if isinstance(base, ClassValue)]
        if len(known) < len([base for base in classes if not isinstance(base, NativeValue)]):
            return None
        parameters = dataclass_parameters(known, config_index(classes) or 0)
        return None if parameters is None else Signature(parameters, is_open=is_open)

    def _written(self, classes: list[Base], index: int, name: str, cls: ClassValue) -> Signature | None:
        base = classes[index]
        assert isinstance(base, ClassValue), "only classes of files have written constructors"
        nodes = [item.node for item in base.scope().candidates(name, self._resolver.is_there)]
        if len(nodes) != 1 or not isinstance(nodes[0], ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        method = FunctionValue(base.module, (nodes[0],), cls, is_bound=True, definer=base)
        found = self._callables.function(method)
        if not found:
            return None
        others = [other for other in classes[index:] if _has_init(other)] if name == "__new__" else []
        if not others:
            return found[0]
        if found[0].takes_any_keyword and found[0].takes_any_positional and isinstance(others[0], ClassValue):
            return self._written(classes, classes.index(others[0]), "__init__", cls)
        return found[0]


def _of_typed_dict(cls: ClassValue) -> Signature:
    """Returns the signature of a TypedDict: the keys that it shows, and whatever else makes a dict."""
    keys = [node.target for node in cls.node.body if isinstance(node, ast.AnnAssign)]
    named = [Parameter(key.id, ParameterKind.KEYWORD_ONLY, "...") for key in keys if isinstance(key, ast.Name)]
    items = Parameter("items", ParameterKind.POSITIONAL_ONLY, "...")
    return Signature((items, *named, Parameter("more", ParameterKind.VAR_KEYWORD)))


def _of_enumeration() -> Signature:
    """Returns the signature of looking a member up; with names, an enumeration is made."""
    names = ("names", "module", "qualname", "type", "start", "boundary")
    options = tuple(Parameter(name, ParameterKind.ANY, "None") for name in names)
    return Signature((Parameter("value", ParameterKind.ANY), *options))


def _metaclasses(resolver: Resolver, classes: list[Base]) -> Iterator[ClassValue | None]:
    """The metaclasses that classes name; None stands for one that cannot be read."""
    for base in classes:
        for keyword in base.node.keywords if isinstance(base, ClassValue) else ():
            if keyword.arg != "metaclass" or name_of(keyword.value) == "ABCMeta":
                continue
            assert isinstance(base, ClassValue), "only classes of files have keywords"
            found = resolver.expression(base.module, keyword.value)
            if not (isinstance(found, NativeValue) and found.value in (type, ABCMeta)):
                yield found if isinstance(found, ClassValue) else None


def _alters(metaclass: ClassValue) -> bool:
    """Returns True if a metaclass may change how objects of its classes are made."""
    bindings = metaclass.scope().bindings
    if any(name_of(base) not in ("type", "ABCMeta") for base in metaclass.node.bases):
        return True
    nodes = [item.node for name in (*_CONSTRUCTORS, "__prepare__") for item in bindings.get(name, ())]
    return "__signature__" in bindings or any(_changes_constructors(node, own=True) for node in nodes)


def _goes_to_type(method: FunctionValue) -> bool:
    """Returns True if a `__call__` hands on to `super().__call__` or `type.__call__` whatever it is given."""
    text = ast.unparse(method.nodes[0])
    return "super().__call__(*args, **kwargs)" in text or "type.__call__(cls, *args, **kwargs)" in text


def _changes_constructors(node: ast.AST, own: bool = False) -> bool:
    """Returns True if a hook may touch how objects are made; `own`: it may name the constructors of `super()`."""
    words = {"dataclass", "__signature__", *(() if own else _CONSTRUCTORS)}
    sets_any = False
    names: set[str] = set()
    keys = [item.args[1] for item in ast.walk(node) if isinstance(item, ast.Call) and name_of(item) == "setattr"]
    for item in ast.walk(node):
        name = getattr(item, "attr", getattr(item, "id", getattr(item, "value", None)))
        if isinstance(name, str):
            names.add(name)
            sets_any = sets_any or name == "setattr"
        if own and isinstance(item, ast.Constant) and item.value in _CONSTRUCTORS:
            return True
        if own and isinstance(item, ast.Attribute) and item.attr in _CONSTRUCTORS and isinstance(item.ctx, ast.Store):
            return True
    is_listed = all(_is_written_out(node, key) for key in keys)
    return bool(names & words) or (sets_any and not is_listed and bool(names & _LISTS_MEMBERS))


def _is_written_out(hook: ast.AST, key: ast.expr) -> bool:
    """Returns True if a name that is set runs over texts that the hook writes out, or begins with one."""
    if isinstance(key, ast.Constant) or (isinstance(key, ast.JoinedStr) and isinstance(key.values[0], ast.Constant)):
        return True
    loops = [item for item in ast.walk(hook) if isinstance(item, ast.For)]
    over = [loop.iter for loop in loops if isinstance(key, ast.Name) and key.id in ast.unparse(loop.target)]
    if len(over) != 1:
        return False
    roots = {item.id for item in ast.walk(over[0]) if isinstance(item, ast.Name)}
    values = [
        item.value
        for item in ast.walk(hook)
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name) and item.targets[0].id in roots
    ]
    return bool(values) and all(isinstance(value, ast.Dict | ast.Tuple | ast.List | ast.Set) for value in values)


def _takes_only_names(base: ClassValue, name: str) -> bool:
    """Returns True for `__init__(self, **data)`, in whose place the fields stand."""
    nodes = [item.node for item in base.scope().bindings[name]]
    node = nodes[-1]
    if not isinstance(node, ast.FunctionDef) or node.args.kwarg is None:
        return False
    return len([*node.args.posonlyargs, *node.args.args]) == 1 and not node.args.kwonlyargs


def _has_init(base: Base) -> bool:
    return isinstance(base, ClassValue) and "__init__" in base.scope().bindings


__all__ = ["Base", "Constructors", "Made"]
