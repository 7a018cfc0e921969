"""Functions, methods and partial objects to their signatures. Constructors are a module beside.

Arguments that a function hands on are followed to where they go, as far as that is certain.
"""

import ast
from collections.abc import Callable

from msgspec.structs import replace

from fgc.signatures.constructors import Base, Constructors
from fgc.signatures.decorators import Decoration, Effect, decoration
from fgc.signatures.handing_on import FunctionNode, handed_on, merged
from fgc.signatures.modules import PythonModule
from fgc.signatures.native import native_signature
from fgc.signatures.parameters import as_in_stubs, parameters_of, without_first
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import Parameter, ParameterKind, Signature
from fgc.signatures.tested_types import tested_types, with_tested
from fgc.signatures.values import (
    ClassValue,
    EitherValue,
    FieldsValue,
    FunctionValue,
    InstanceValue,
    NativeValue,
    PartialValue,
    Value,
)

Signatures = tuple[Signature, ...]
_MAX_DEPTH = 12  # functions that hand on to functions
_ANYTHING = (Parameter("args", ParameterKind.VAR_POSITIONAL), Parameter("kwargs", ParameterKind.VAR_KEYWORD))


class Callables:
    """Signatures of values; none where they are not known, several for overloads."""

    def __init__(self, resolver: Resolver, stubs: Callable[[object], Signatures] = lambda value: ()) -> None:
        """`stubs` knows compiled callables that do not tell their parameters."""
        self._resolver = resolver
        self._stubs = stubs
        self._depth = 0
        self.constructors = Constructors(resolver, self)

    def signatures(self, value: Value) -> Signatures:
        """Returns how a value is called."""
        match value:
            case FunctionValue():
                return self.function(value) or self._in_stub(value)
            case ClassValue():
                return self.constructors.signatures(value)
            case InstanceValue(cls=cls):
                method = self._resolver.attribute(value, "__call__")
                return self.function(method) if isinstance(method, FunctionValue) and cls is not None else ()
            case PartialValue():
                return tuple(_with_given(item, value) for item in self.signatures(value.target))
            case FieldsValue(parameters=parameters):
                return (Signature(parameters),)
            case EitherValue(values=values):
                found = [self.signatures(item) for item in values]
                return tuple(dict.fromkeys(item for items in found for item in items)) if all(found) else ()
            case NativeValue(value=native):
                known = native_signature(native)
                return self._stubs(native) if known is None else (known,)
            case _:
                return ()

    def makes_plainly(self, cls: ClassValue) -> bool:
        """Returns True if calling a class gives an object of that class, and nothing else."""
        return self.constructors.makes_plainly(cls)

    def function(self, value: FunctionValue) -> Signatures:
        """Returns the signatures of a function: one, or one for each overload."""
        found = [self._of_node(value, node) for node in value.nodes]
        known = tuple(signature for signature in found if signature is not None)
        return known if len(known) == len(found) else ()

    def decoration(self, module: PythonModule, decorators: list[ast.expr]) -> Decoration:
        """Returns the combined effect of decorators."""
        found = [decoration(self._resolver, module, item) for item in decorators]
        names = frozenset(name for item in found for name in item.names)
        effect = max((item.effect for item in found), default=Effect.NONE)
        return Decoration(effect, names, any(item.deals_positionals for item in found))

    def _of_node(self, value: FunctionValue, node: FunctionNode) -> Signature | None:
        effect = self.decoration(value.module, getattr(node, "decorator_list", []))
        if effect.effect is Effect.UNKNOWN:
            return None
        parameters = with_tested(parameters_of(node.args, value.module.home), tested_types(value.module, [node]))
        if value.module.is_stub:
            parameters = tuple(map(as_in_stubs, parameters))
        if value.is_bound:
            parameters = without_first(parameters)
        return effect.applied(self._followed(Signature(parameters), value, node))

    def _in_stub(self, value: FunctionValue) -> Signatures:
        """Returns what the stub beside a module says of a function whose decorator is unknown."""
        name = getattr(value.nodes[0], "name", "")
        found = self._resolver.in_stub(value.module, name) if value.owner is None and name else None
        return self.function(found) if isinstance(found, FunctionValue) else ()

    def _followed(self, own: Signature, value: FunctionValue, node: FunctionNode) -> Signature:
        """A signature with what its `*args` and `**kwargs` reach."""
        if node.args.vararg is None and node.args.kwarg is None:
            return own
        use = None if self._depth > _MAX_DEPTH else handed_on(node)
        if use is None:
            return own
        names = (getattr(node.args.vararg, "arg", ""), getattr(node.args.kwarg, "arg", ""))
        self._depth += 1
        try:
            found = [self._target(value, node, call.func) for call in use.calls]
        finally:
            self._depth -= 1
        pairs = [(call, item) for call, item in zip(use.calls, found, strict=True) if item is not None]
        if len(pairs) < len(found):
            return own
        return _joined([merged(own, call, target, use, names) for call, target in pairs])

    def _target(self, value: FunctionValue, node: FunctionNode, func: ast.expr) -> Signature | None:
        """Returns the signature of the function that a function calls; None if it is not known, or not one."""
        match func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name):
                return self._above(value, name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if _is_first(node, name) and value.is_bound:
                owner = value.owner
                found = None if owner is None else self._resolver.attribute(InstanceValue(owner), attribute)
                return _single(self.signatures(found)) if isinstance(found, FunctionValue) else None
            case _:
                root = _root(func)
                if root is None or root in _local_names(node):
                    return None
                return _single(self.signatures(self._resolver.expression(value.module, func)))

    def _above(self, value: FunctionValue, name: str) -> Signature | None:
        """The method that `super()` finds."""
        classes = None if value.owner is None else self._resolver.classes_in_order(value.owner)
        if classes is None or value.definer is None or value.owner is None:
            return None
        index = next((i for i, base in enumerate(classes) if _is_same(base, value.definer)), None)
        if index is None:
            return None
        if name == "__init__":
            return self.constructors.found(classes, index + 1, value.owner)
        for base in classes[index + 1 :]:
            if not isinstance(base, ClassValue):
                return None
            if name in base.scope().bindings:
                found = self._resolver.member(value.owner, base, name, is_instance=True)
                return _single(self.signatures(found)) if isinstance(found, FunctionValue) else None
        return None


def _is_same(base: Base, definer: ClassValue) -> bool:
    return isinstance(base, ClassValue) and base.node is definer.node


def _single(signatures: Signatures) -> Signature | None:
    return signatures[0] if len(signatures) == 1 else None


def _is_first(node: FunctionNode, name: str) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args]
    return bool(arguments) and arguments[0].arg == name


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _local_names(node: FunctionNode) -> set[str]:
    """Returns the names that a function binds itself."""
    given = node.args
    names = {item.arg for item in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    for item in ast.walk(node):
        match item:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name.partition(".")[0])
            case _:
                pass
    return names - {getattr(node, "name", "")}


def _joined(found: list[Signature]) -> Signature:
    """Joins the signatures of calls between which a condition chooses."""
    first, rest = found[0], found[1:]
    if all(item == first for item in rest):
        return first
    known = [item.behind_kwargs for item in found if item.behind_kwargs is not None]
    if len(known) < len(found) or any(item.behind_args is not None for item in found):
        return replace(first, behind_args=None, behind_kwargs=None)
    every = {parameter.name: parameter for parameters in known for parameter in parameters}
    needed = [all(any(p.name == name and p.default is None for p in items) for items in known) for name in every]
    joined = (
        p if is_needed else replace(p, default=p.default or "...")
        for p, is_needed in zip(every.values(), needed, strict=True)
    )
    return replace(first, behind_kwargs=tuple(joined))


def _with_given(signature: Signature, given: PartialValue) -> Signature:
    """Returns the rest of a signature when a partial object gives some of it."""
    slots = [parameter.name for parameter in signature.positional[: given.num_positional]]
    left: list[Parameter] = []
    is_named = False
    for parameter in (*signature.by_position, *(p for p in signature.by_name if p not in [*signature.by_position])):
        if parameter.name in slots:
            continue
        is_named = is_named or (parameter.name in given.keywords and parameter.kind is ParameterKind.ANY)
        kind = ParameterKind.KEYWORD_ONLY if is_named and parameter.kind is ParameterKind.ANY else parameter.kind
        default = parameter.default or ("..." if parameter.name in given.keywords else None)
        left.append(replace(parameter, kind=kind, default=default))
    return Signature(tuple(left), is_open=signature.is_open, drops_unknown=signature.drops_unknown)
