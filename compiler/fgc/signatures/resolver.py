"""Names to what they stand for: through imports, re-exports, star imports, lazy packages, aliases and classes.

When in doubt, a name is unknown; it is missing only where nothing could bring it about.
"""

import ast
import builtins
import functools
import re
from collections.abc import Iterator

from fgc.diagnostics.nearest import misspelt
from fgc.signatures.answer import Verdict
from fgc.signatures.finder import Absent, Found, ModuleFinder, NativeModule
from fgc.signatures.lazy_modules import LazyModules, is_lazy
from fgc.signatures.modules import Binding, ModuleScope, PythonModule
from fgc.signatures.named_tuples import namedtuple_parameters
from fgc.signatures.native import native_module
from fgc.signatures.values import (
    UNKNOWN,
    ClassValue,
    ConstantValue,
    EitherValue,
    FieldsValue,
    FunctionValue,
    InstanceValue,
    MissingValue,
    ModuleValue,
    NativeValue,
    PartialValue,
    UnknownValue,
    Value,
)

_MANY_STARS = 20  # packages that import so many others whole are searched by the likeness of names
_MAX_STARS = 4  # star imports of star imports: transformers, its models, one of them, its files
_MAX_DEPTH = 60  # the longest chain of re-exports known is 9
_CALLED = (ClassValue, FunctionValue, InstanceValue, PartialValue, FieldsValue, NativeValue)
_LITERALS = (ast.Constant, ast.List, ast.Dict, ast.Set, ast.Tuple, ast.JoinedStr)


class Resolver:
    """Follows names through files."""

    def __init__(self, finder: ModuleFinder) -> None:
        self.finder = finder
        self._active: set[tuple[str, str]] = set()
        self._lazy = LazyModules(self._source_of)

    def module(self, name: str) -> Value:
        """Returns what `import name` gives."""
        return self._module_value(self.finder.module(name))

    def attribute(self, value: Value, name: str) -> Value:
        """Returns what `value.name` stands for; nothing is known of what is no name."""
        if not name.isidentifier():
            return UNKNOWN
        match value:
            case ModuleValue(module=module):
                return self.global_name(module, name)
            case ClassValue():
                return self._class_attribute(value, name, is_instance=False)
            case InstanceValue(cls=cls):
                return self._class_attribute(cls, name, is_instance=True)
            case NativeValue(value=owner):
                return self._native_attribute(owner, name)
            case EitherValue(values=values):
                return self._either([self.attribute(item, name) for item in values])
            case MissingValue() | UnknownValue():
                return value
            case _:
                return UNKNOWN

    def is_there(self, name: str) -> bool:
        """Returns True if there is a module of that name, as far as it can be read."""
        return not isinstance(self.finder.module(name), Absent)

    def written(self, module: PythonModule, name: str) -> ast.expr | None:
        """The expression that a name of a module is assigned, also where it was imported from another module."""
        return self.definition(module, name)[1]

    def definition(self, module: PythonModule, name: str) -> tuple[PythonModule, ast.expr | None]:
        """The module in which a name is assigned, and what; None if it is not assigned once."""
        for _ in range(_MAX_DEPTH):
            bound = module.scope(name).candidates(name, self.is_there)
            match [(item.statement, item.node) for item in bound]:
                case [(ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value), _)]:
                    return module, value
                case [(ast.ImportFrom() as statement, ast.alias(name=other))]:
                    source = self._source_of(module, statement)
                    if not isinstance(source, ModuleValue):
                        return module, None
                    module, name = source.module, other
                case _:
                    return module, None
        return module, None

    def global_name(self, module: PythonModule, name: str) -> Value:
        """Returns what `name` stands for in a module; a module of the package counts as its attribute."""
        key = (module.path, name)
        if key in self._active or len(self._active) > _MAX_DEPTH:
            inner = self.finder.module(f"{module.name}.{name}") if module.is_package else None
            return ModuleValue(inner) if isinstance(inner, PythonModule) else UNKNOWN  # `from . import name`
        self._active.add(key)
        try:
            found = self._bound(module, name)
            stub = self.in_stub(module, name) if isinstance(found, UnknownValue) else UNKNOWN
            return found if isinstance(stub, UnknownValue) else stub
        finally:
            self._active.discard(key)

    def in_stub(self, module: PythonModule, name: str) -> Value:
        """Returns what the stub beside a module says of a name that the module itself leaves open."""
        stub = self.finder.stub(module)
        found = UNKNOWN if stub is None else self.global_name(stub, name)
        return found if isinstance(found, ClassValue | FunctionValue | InstanceValue) else UNKNOWN

    def expression(self, module: PythonModule, node: ast.expr) -> Value:
        """Returns what an expression at a module's top level stands for."""
        match node:
            case ast.Name(id=name):
                return self._name(module, name)
            case ast.Attribute(value=owner, attr=name):
                found = self.attribute(self.expression(module, owner), name)
                return UNKNOWN if isinstance(found, MissingValue) else found
            case ast.Call(func=func):
                return self._called(module, self.expression(module, func), node)
            case ast.Subscript(value=owner):
                found = self.expression(module, owner)
                return found if isinstance(found, ClassValue | NativeValue) else UNKNOWN
            case ast.Lambda():
                return FunctionValue(module, (node,))
            case _:
                return ConstantValue(module, node) if isinstance(node, _LITERALS) else UNKNOWN

    def _called(self, module: PythonModule, callee: Value, call: ast.Call) -> Value:
        """Returns the result of a call at a module's top level."""
        match callee:
            case ClassValue():
                return InstanceValue(callee)
            case NativeValue(value=native) if native is functools.partial and call.args:
                target = self.expression(module, call.args[0])
                is_plain = not any(isinstance(item, ast.Starred) for item in call.args)
                names = [keyword.arg for keyword in call.keywords]
                known = tuple(name for name in names if name is not None)
                is_plain = is_plain and len(known) == len(names) and not isinstance(target, UnknownValue | MissingValue)
                return PartialValue(target, len(call.args) - 1, known) if is_plain else UNKNOWN
            case FunctionValue(nodes=[ast.FunctionDef(name="namedtuple")]):
                parameters = namedtuple_parameters(call, module.home)
                return UNKNOWN if parameters is None else FieldsValue(parameters)
            case _:
                return UNKNOWN

    def classes_in_order(self, cls: ClassValue) -> list[ClassValue | NativeValue | None] | None:
        """The class and its bases in the order of look-up, without `object`; None stands for what cannot be read.

        None instead of a list: Python would refuse the order, or it is not known.
        """
        return self._linearised(cls, 0)

    def _name(self, module: PythonModule, name: str) -> Value:
        found = self.global_name(module, name)
        if isinstance(found, MissingValue | UnknownValue) and name not in module.scope(name).bindings:
            return self._builtin(name)
        return UNKNOWN if isinstance(found, MissingValue) else found

    def _builtin(self, name: str) -> Value:
        if not hasattr(builtins, name):
            return UNKNOWN
        if self.finder.has_natives:
            return NativeValue(getattr(builtins, name))
        found = self.attribute(self.module("builtins"), name)
        return UNKNOWN if isinstance(found, MissingValue) else found

    def _bound(self, module: PythonModule, name: str) -> Value:
        scope = module.scope(name)
        bound = scope.candidates(name, self.is_there)
        found = self._merged([self._of_binding(module, name, binding) for binding in bound])
        if found is not None:
            return self._overridden(module, scope, name, bound[-1].statement.lineno) or found
        starred, is_certain = self._starred(module, scope, name)
        if starred is not None:
            return starred
        if module.is_package:
            submodule = self.finder.module(f"{module.name}.{name}")
            if isinstance(submodule, PythonModule):
                return ModuleValue(submodule)
            if not isinstance(submodule, Absent) and not (is_lazy(module) and not getattr(submodule, "has_file", True)):
                return UNKNOWN if getattr(submodule, "has_file", True) else self._unsure(module, name)
        if is_lazy(module) and not name.startswith("_"):
            return self._lazy.missing(module, name)
        if not is_certain or module.is_dynamic or name.startswith("_") or _mentions(module, name):
            return self._unsure(module, name)
        return MissingValue(Verdict.NO_ATTRIBUTE, name, tuple(self._visible(module)))

    def _unsure(self, module: PythonModule, name: str) -> UnknownValue:
        """Returns what may be made at run time; where the module never says the name, with a name that resembles it."""
        if name.startswith("_") or _mentions(module, name):
            return UNKNOWN
        near = misspelt(name, self._visible(module))
        return UnknownValue(wrong=name, names=() if near is None else (near,))

    def _overridden(self, module: PythonModule, scope: ModuleScope, name: str, line: int) -> Value | None:
        """Returns what a later star import of a compiled module puts in a name's place: `from _operator import *`."""
        for statement in reversed(scope.stars[-_MANY_STARS:]):
            source = self._source_of(module, statement) if statement.lineno > line else None
            if isinstance(source, NativeValue) and hasattr(source.value, name):
                return NativeValue(getattr(source.value, name))
        return None

    def _merged(self, values: list[Value]) -> Value | None:
        """One value for several bindings of a name: overloads together, else only what all agree on."""
        if len(values) <= 1:
            return values[0] if values else None
        functions = [value for value in values if isinstance(value, FunctionValue)]
        if len(functions) == len(values) and all(f.module.is_stub for f in functions):
            first = functions[0]
            nodes = tuple(node for function in functions for node in function.nodes)
            return FunctionValue(first.module, nodes, first.owner, first.is_bound)
        return self._either(values)

    def _either(self, values: list[Value]) -> Value:
        """One of several values that can be called; unknown if one of them is anything else."""
        known = [item for value in values for item in (value.values if isinstance(value, EitherValue) else (value,))]
        if all(isinstance(item, _CALLED) for item in known):
            return EitherValue(tuple(known))
        return UnknownValue("what it is depends on what is installed")

    def _of_binding(self, module: PythonModule, name: str, binding: Binding) -> Value:
        match binding.statement:
            case ast.ImportFrom() as statement if isinstance(binding.node, ast.alias):
                return self._imported(module, statement, binding.node.name)
            case ast.Import() if isinstance(binding.node, ast.alias):
                alias = binding.node
                return self.module(alias.name if alias.asname else alias.name.partition(".")[0])
            case ast.FunctionDef() | ast.AsyncFunctionDef() as node:
                return FunctionValue(module, (node,))
            case ast.ClassDef() as node:
                return ClassValue(module, node)
            case ast.Assign(value=ast.Call(func=func, args=[ast.Name(id=given), *_]) as call) if given == name:
                return self._made_over(module, name, func, call)
            case ast.Assign(targets=targets, value=node) if all(isinstance(target, ast.Name) for target in targets):
                return self.expression(module, node)
            case ast.AnnAssign(value=ast.expr() as node) if not module.is_stub:
                return self.expression(module, node)
            case ast.AnnAssign(annotation=node) if module.is_stub:
                found = self.expression(module, node)
                return InstanceValue(found) if isinstance(found, ClassValue) else UNKNOWN
            case _:
                return UNKNOWN

    def _made_over(self, module: PythonModule, name: str, func: ast.expr, call: ast.Call) -> Value:
        """`Name = update(Name, ...)`: the class that was defined before, if the function returns what it is given."""
        before = [item.node for item in module.scope(name).bindings.get(name, ()) if item.node.lineno < call.lineno]
        update = self.expression(module, func)
        is_same = isinstance(update, FunctionValue) and _gives_back_first(update.nodes[-1])
        node = before[-1] if before else None
        return self._same(ClassValue(module, node)) if is_same and isinstance(node, ast.ClassDef) else UNKNOWN

    def _imported(self, module: PythonModule, statement: ast.ImportFrom, name: str) -> Value:
        found = self.attribute(self._source_of(module, statement), name)
        if isinstance(found, MissingValue | UnknownValue) and statement.module is None and statement.level:
            return UNKNOWN
        return UNKNOWN if isinstance(found, MissingValue) else found

    def _source_of(self, module: PythonModule, statement: ast.ImportFrom) -> Value:
        if not statement.level:
            return self.module(statement.module or "")
        package = module.package.split(".")
        package = package[: len(package) - statement.level + 1]
        if not package or not package[0]:
            return UNKNOWN
        name = ".".join([*package, *([statement.module] if statement.module else [])])
        if name == module.name:
            return ModuleValue(module)
        return self.module(name)

    def _module_value(self, found: Found) -> Value:
        match found:
            case PythonModule():
                return ModuleValue(found)
            case NativeModule(name=name):
                loaded = native_module(name)
                return UNKNOWN if loaded is None else NativeValue(loaded)
            case Absent(wrong=wrong, is_top=is_top):
                return MissingValue(Verdict.NOT_INSTALLED if is_top else Verdict.NO_MODULE, wrong)
            case _:
                return UNKNOWN

    def _starred(self, module: PythonModule, scope: ModuleScope, name: str) -> tuple[Value | None, bool]:
        """Returns what a star import binds to the name, and whether it is certain that none other does.

        Of very many, those count whose modules are called like the name; if none has it, those that define it.
        """
        is_long = len(scope.stars) > _MANY_STARS
        stars = _likely(scope, name)
        found, is_certain = self._of_stars(module, stars, name)
        if found is None and is_lazy(module) and self._binds_by_star(module, name, 0):
            return UNKNOWN, False
        if found is None and is_long:
            found, is_certain = self._of_stars(module, self._defining(module, scope.stars, name), name)
        return found, is_certain and not is_long

    def _of_stars(self, module: PythonModule, stars: list[ast.ImportFrom], name: str) -> tuple[Value | None, bool]:
        """Returns what the last of these star imports that has a name binds to it, and whether that is certain."""
        is_complete = True
        for statement in reversed(stars):
            source = self._source_of(module, statement)
            if name.startswith("_") and not (isinstance(source, ModuleValue) and _exports(source.module, name)):
                is_complete = False
                continue
            if isinstance(source, ModuleValue) and _hides(source.module, name):
                continue
            found = self.attribute(source, name)
            if isinstance(found, UnknownValue | MissingValue):
                is_complete = is_complete and isinstance(found, MissingValue)
            elif not (isinstance(found, ModuleValue) and isinstance(source, ModuleValue)):
                return found, True
            else:
                is_complete = False  # a submodule is an attribute once anything has imported it
        return None, is_complete

    def _binds_by_star(self, module: PythonModule, name: str, depth: int) -> bool:
        """Returns True if a star import leads to a statement that binds a name, whatever to."""
        for star in _likely(module.whole, name) if depth < _MAX_STARS else ():
            source = self._source_of(module, star)
            if isinstance(source, ModuleValue) and (
                name in source.module.whole.bindings or self._binds_by_star(source.module, name, depth + 1)
            ):
                return True
        return False

    def _defining(self, module: PythonModule, stars: list[ast.ImportFrom], name: str) -> list[ast.ImportFrom]:
        """The star imports of modules in whose texts a name is defined."""
        sources = [(star, self._source_of(module, star)) for star in stars]
        definition = re.compile(rf"^(?:(?:def|class) {name}\b|{name} = )", re.MULTILINE)
        return [star for star, source in sources if self._has_text(source, definition, {module.path})]

    def _has_text(self, source: Value, definition: re.Pattern[str], seen: set[str]) -> bool:
        """Returns True if a module, or one that it imports whole, has such a text. Lazy packages say it otherwise."""
        if not isinstance(source, ModuleValue) or source.module.path in seen:
            return False
        seen.add(source.module.path)
        if definition.search(source.module.source.text):
            return True
        stars = () if is_lazy(source.module) else source.module.whole.stars
        return any(self._has_text(self._source_of(source.module, star), definition, seen) for star in stars)

    def names_in(self, module: PythonModule) -> list[str]:
        """Returns the names that a module shows: what it binds and imports, and what a lazy package will."""
        names = [*self._visible(module), *(self._lazy.names(module) if is_lazy(module) else ())]
        return sorted({name for name in names if not name.startswith("_")})

    def _visible(self, module: PythonModule) -> Iterator[str]:
        """The names that a module shows: what could have been meant."""
        yield from (name for name in module.whole.bindings if not name.startswith("_"))
        for statement in module.whole.stars[:_MANY_STARS]:
            source = self._source_of(module, statement)
            if isinstance(source, ModuleValue):
                listed = _listed(source.module)
                shown = (name for name in source.module.whole.bindings if not name.startswith("_"))
                yield from (name for name in shown if listed is None or name in listed)

    def _class_attribute(self, cls: ClassValue, name: str, *, is_instance: bool) -> Value:
        classes = self.classes_in_order(cls)
        if classes is None:
            return UNKNOWN
        for base in classes:
            if isinstance(base, ClassValue) and name in base.scope().bindings:
                return self.member(cls, base, name, is_instance=is_instance)
            if base is None or (isinstance(base, NativeValue) and hasattr(base.value, name)):
                return UNKNOWN
        return self._missing_member(cls, [base for base in classes if isinstance(base, ClassValue)], name)

    def member(self, cls: ClassValue, base: ClassValue, name: str, *, is_instance: bool) -> Value:
        """Returns the value of `cls.name`, where `base` is the class whose body binds it."""
        candidates = base.scope().candidates(name, self.is_there)
        found = self._merged([self._of_binding(base.module, name, binding) for binding in candidates])
        if not isinstance(found, FunctionValue):
            return found if isinstance(found, ClassValue) else UNKNOWN
        marks = {_last_name(decorator) for node in found.nodes for decorator in getattr(node, "decorator_list", ())}
        is_bound = "classmethod" in marks or (is_instance and "staticmethod" not in marks)
        return FunctionValue(found.module, found.nodes, cls, is_bound or name == "__new__", base)

    def _missing_member(self, cls: ClassValue, classes: list[ClassValue], name: str) -> Value:
        if hasattr(type, name) or hasattr(object, name) or any(_mentions(base.module, name) for base in classes):
            return UNKNOWN
        names = [member for base in classes for member in base.scope().bindings if not member.startswith("_")]
        for base in classes:
            text = base.module.source.text
            is_plain = not base.node.keywords and not base.node.decorator_list
            if not is_plain or "__getattr" in text or re.search(rf"setattr\(\s*{base.node.name}\b", text):
                near = misspelt(name, names)
                return UNKNOWN if near is None else UnknownValue(wrong=name, names=(near,))
        return MissingValue(Verdict.NO_ATTRIBUTE, name, tuple(dict.fromkeys(names)))

    def _native_attribute(self, owner: object, name: str) -> Value:
        if hasattr(owner, name):
            return NativeValue(getattr(owner, name))
        names = tuple(member for member in dir(owner) if not member.startswith("_"))
        return MissingValue(Verdict.NO_ATTRIBUTE, name, names)

    def _linearised(self, cls: ClassValue, depth: int) -> list[ClassValue | NativeValue | None] | None:
        cached: list[ClassValue | NativeValue | None] | None = getattr(cls.node, "fgc_order", None)
        if cached is not None or depth > _MAX_DEPTH:
            return cached
        bases = [self._base(cls, node) for node in cls.node.bases]
        orders: list[list[ClassValue | NativeValue | None]] = []
        for base in bases:
            order = self._linearised(base, depth + 1) if isinstance(base, ClassValue) else _native_order(base)
            if order is None:
                return None
            orders.append(order)
        merged = _merge([*orders, list(bases)])
        cls.node.fgc_order = None if merged is None else [cls, *merged]  # type: ignore[attr-defined]
        return None if merged is None else [cls, *merged]

    def _base(self, cls: ClassValue, node: ast.expr) -> ClassValue | NativeValue | None:
        found = self.expression(cls.module, node)
        if isinstance(found, ClassValue):
            return self._same(found)
        return found if isinstance(found, NativeValue) and isinstance(found.value, type) else None

    def _same(self, found: ClassValue) -> ClassValue:
        """One object for one class, however it was reached."""
        known: ClassValue | None = getattr(found.node, "fgc_value", None)
        if known is None:
            found.node.fgc_value = found  # type: ignore[attr-defined]
            return found
        return known


def _mentions(module: PythonModule, name: str) -> bool:
    """Returns True if the text of a module holds a name, in whatever role."""
    return re.search(rf"\b{name}\b", module.source.text) is not None


def _likely(scope: ModuleScope, name: str) -> list[ast.ImportFrom]:
    """The star imports of a scope; of very many, those of modules called like the name: `.llama` for `LlamaConfig`."""
    if len(scope.stars) <= _MANY_STARS:
        return scope.stars
    folded = name.lower().replace("_", "")
    return [star for star in scope.stars if (star.module or "").rpartition(".")[2].replace("_", "") in folded]


def _exports(module: PythonModule, name: str) -> bool:
    """Returns True if the `__all__` of a module lists a name."""
    listed = [item.node for item in module.whole.bindings.get("__all__", ())]
    return any(isinstance(node, ast.Assign) and repr(name) in ast.unparse(node.value) for node in listed)


def _gives_back_first(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    """Returns True for `def update(cls, ...): ...; return cls`."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    if isinstance(node, ast.Lambda) or not arguments:
        return False
    ends = [item for item in ast.walk(node) if isinstance(item, ast.Return)]
    return bool(ends) and all(isinstance(end.value, ast.Name) and end.value.id == arguments[0].arg for end in ends)


def _hides(module: PythonModule, name: str) -> bool:
    """Returns True if a module writes its `__all__` out, and does not list a name there."""
    listed = _listed(module)
    return listed is not None and name not in listed


def _listed(module: PythonModule) -> set[object] | None:
    """Returns the names in the `__all__` of a module; None if it does not write them out."""
    match [item.node for item in module.whole.bindings.get("__all__", ())]:
        case [ast.Assign(value=ast.List(elts=items) | ast.Tuple(elts=items))]:
            listed = [item.value for item in items if isinstance(item, ast.Constant)]
            return {*listed} if len(listed) == len(items) else None
        case _:
            return None


def _native_order(base: NativeValue | None) -> list[ClassValue | NativeValue | None]:
    return [base] if base is None or base.value is not object else []


def _merge(
    orders: list[list[ClassValue | NativeValue | None]],
) -> list[ClassValue | NativeValue | None] | None:
    """The C3 merge of Python's method resolution order; None if there is none."""
    result: list[ClassValue | NativeValue | None] = []
    orders = [order for order in orders if order]
    while orders:
        heads = [order[0] for order in orders]
        good = next((head for head in heads if not any(_is_in(head, order[1:]) for order in orders)), _NO_HEAD)
        if good is _NO_HEAD:
            return None
        assert good is None or isinstance(good, ClassValue | NativeValue), "a head is a base"
        result.append(good)
        orders = [order[1:] if _is_same(order[0], good) else order for order in orders]
        orders = [order for order in orders if order]
    return result


_NO_HEAD = object()


def _is_in(base: ClassValue | NativeValue | None, order: list[ClassValue | NativeValue | None]) -> bool:
    return base is not None and any(_is_same(base, other) for other in order)


def _is_same(one: ClassValue | NativeValue | None, other: ClassValue | NativeValue | None) -> bool:
    if isinstance(one, ClassValue) and isinstance(other, ClassValue):
        return one.node is other.node
    if isinstance(one, NativeValue) and isinstance(other, NativeValue):
        return one.value is other.value
    return one is other


def _last_name(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return str(getattr(node, "attr", getattr(node, "id", "")))
