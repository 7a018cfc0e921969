"""Describes what a Python expression is found to stand for, as far as it matters for calling it."""

import ast
from typing import Any, TypeAlias

from msgspec import Struct

from fgc.signatures.answer import Verdict
from fgc.signatures.modules import ModuleScope, PythonModule
from fgc.signatures.signature import Parameter


class ClassValue(Struct, frozen=True, eq=False, dict=True):
    """A class that is defined in a file."""

    module: PythonModule
    node: ast.ClassDef

    def scope(self) -> ModuleScope:
        """The names that the class's body binds."""
        cached: ModuleScope | None = getattr(self.node, "fgc_scope", None)
        if cached is None:
            cached = ModuleScope(self.node.body)
            self.node.fgc_scope = cached  # type: ignore[attr-defined]
        return cached


class FunctionValue(Struct, frozen=True, eq=False, dict=True):
    """A function that is defined in a file; several nodes are overloads of a stub.

    `owner` is the class in which it was looked up, `definer` the one in whose body it stands; `is_bound` if its first
    parameter is given already.
    """

    module: PythonModule
    nodes: tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, ...]
    owner: ClassValue | None = None
    is_bound: bool = False
    definer: ClassValue | None = None


class InstanceValue(Struct, frozen=True, eq=False, dict=True):
    """An object of a class."""

    cls: ClassValue


class PartialValue(Struct, frozen=True, eq=False, dict=True):
    """`functools.partial(target, ...)`: what is called, the number of arguments by position, and keywords."""

    target: "Value"
    num_positional: int
    keywords: tuple[str, ...]


class FieldsValue(Struct, frozen=True, eq=False, dict=True):
    """A class that a call makes out of the names of its fields: a named tuple."""

    parameters: tuple[Parameter, ...]


class EitherValue(Struct, frozen=True, eq=False, dict=True):
    """One of several, by what is true where the module runs."""

    values: "tuple[Value, ...]"


class NativeValue(Struct, frozen=True, eq=False, dict=True):
    """A compiled object of Python itself."""

    value: Any


class ModuleValue(Struct, frozen=True, eq=False, dict=True):
    """A module that can be read."""

    module: PythonModule


class ConstantValue(Struct, frozen=True, eq=False, dict=True):
    """A number, a text, None, a list: nothing that can be called."""

    module: PythonModule
    node: ast.expr


class UnknownValue(Struct, frozen=True):
    """It may be anything; `reason` says why that is all that is known."""

    reason: str = ""
    wrong: str = ""
    names: tuple[str, ...] = ()


class MissingValue(Struct, frozen=True):
    """It surely does not exist; `names` exist where it was looked for."""

    verdict: Verdict
    wrong: str
    names: tuple[str, ...] = ()


Value: TypeAlias = (
    ClassValue
    | FunctionValue
    | InstanceValue
    | PartialValue
    | FieldsValue
    | EitherValue
    | NativeValue
    | ModuleValue
    | ConstantValue
    | UnknownValue
    | MissingValue
)
UNKNOWN = UnknownValue()
