"""A callable as a configuration names it to what is known of it."""

import ast
import builtins
import os
import re
from typing import assert_never

from msgspec.structs import replace

from fgc.signatures.answer import Answer, DefinitionPlace, Verdict
from fgc.signatures.callables import Callables
from fgc.signatures.deprecation import deprecation
from fgc.signatures.finder import Absent, ModuleFinder, NativeModule, Opaque
from fgc.signatures.meanings import Meanings
from fgc.signatures.modules import PythonModule
from fgc.signatures.resolver import Resolver
from fgc.signatures.shape import attribute_names
from fgc.signatures.signature import TypeName
from fgc.signatures.types import ResultTypes
from fgc.signatures.typeshed import Typeshed
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

_UNKNOWN = Answer(Verdict.UNKNOWN)


class Lookup:
    """Answers about callables; files are read once for all of them."""

    def __init__(self, finder: ModuleFinder, stubs: ModuleFinder) -> None:
        """`stubs` finds the modules of typeshed."""
        self._finder = finder
        self._resolver = Resolver(finder)
        self._typeshed = Typeshed(stubs)
        self._callables = Callables(self._resolver, self._typeshed.of_object)
        self._results = ResultTypes(self._resolver, self._callables)
        self._meanings = Meanings(self._resolver, self._callables, self._results)

    def in_module(self, module: str, attribute: str) -> Answer:
        """`module:attribute`; nothing is known of what is no module's name."""
        if not all(part.isidentifier() for part in module.split(".")):
            return _UNKNOWN
        missing = self._without_file(module)
        if missing is not None:
            return Answer(Verdict.NO_FILE, wrong=missing)
        found = self._answer(self._resolver.module(module), attribute)
        is_open = found.verdict in (Verdict.UNKNOWN, Verdict.CALLABLE) and not found.signatures
        signatures = self._typeshed.signatures(module, attribute) if is_open and self._is_standard(module) else ()
        return replace(found, verdict=Verdict.CALLABLE, signatures=signatures) if signatures else found

    def _without_file(self, name: str) -> str | None:
        """Returns the first part of a dotted name that has no file, though a package could make it and never names it.

        `transformers.models.lama`: a finder in transformers serves old names of modules.
        """
        parent, dot, last = name.rpartition(".")
        found = self._finder.module(name)
        if not dot or not isinstance(found, Opaque) or found.has_file:
            return None
        above = self._finder.module(parent)
        if not isinstance(above, PythonModule):
            return self._without_file(parent)
        return None if re.search(rf"\b{re.escape(last)}\b", above.source.text) else name

    def _is_standard(self, name: str) -> bool:
        """Returns True if a module is the one of Python's library, and not a file of the same name."""
        module = self._finder.module(name)
        home = os.path.dirname(os.__file__)  # noqa: PTH120 -- a text, as paths are here
        return isinstance(module, NativeModule) or (
            isinstance(module, PythonModule) and module.path.startswith(f"{home}/") and "-packages/" not in module.path
        )

    def in_file(self, path: str, attribute: str) -> Answer:
        """`path/file.py:attribute`; a file that cannot be read is somebody else's finding."""
        module = self._finder.file(path)
        return _UNKNOWN if module is None else self._answer(ModuleValue(module), attribute)

    def builtin(self, attribute: str) -> Answer:
        """A builtin, perhaps dotted."""
        return self._answer(NativeValue(builtins), attribute)

    def names_in(self, module: str) -> list[str]:
        """Returns the names that a module, or a file by its path, shows."""
        found = self._finder.file(module) if module.endswith(".py") else self._finder.module(module)
        return self._resolver.names_in(found) if isinstance(found, PythonModule) else []

    def folder_of(self, package: str) -> str | None:
        """Returns where the modules of a package lie."""
        module = self._finder.module(package)
        return module.path.rpartition("/")[0] if isinstance(module, PythonModule) and module.is_package else None

    def longest_module(self, name: str) -> str | None:
        """The longest beginning of a dotted name that is a module and leaves a name in it; None if there is none."""
        parts = name.split(".")
        longest = None
        for end in range(1, len(parts)):
            beginning = ".".join(parts[:end])
            found = self._finder.module(beginning)
            if isinstance(found, Absent) or (isinstance(found, Opaque) and not found.has_file):
                break
            longest = beginning
        return longest

    def of_object(self, owner: TypeName, attribute: str) -> Answer:
        """Returns the type of an object's attribute as the result of an answer; the known names if there is none."""
        module = None if owner.path is None else self._finder.module(owner.bases[0].rpartition(".")[0])
        if not isinstance(module, PythonModule) or module.path != owner.path:
            module = None if owner.path is None else self._finder.file(owner.path)
        cls = UNKNOWN if module is None else self._resolver.global_name(module, owner.name)
        if not isinstance(cls, ClassValue):
            return _UNKNOWN
        found = self._results.attribute(cls, attribute)
        names, is_whole = attribute_names(self._resolver, cls)
        if attribute in names:
            return Answer(Verdict.UNKNOWN, result=found)
        shown = tuple(sorted(name for name in names if not name.startswith("_")))
        return Answer(Verdict.NO_ATTRIBUTE if is_whole else Verdict.UNKNOWN, wrong=attribute, names=shown)

    def meaning(self, home: str, name: str) -> Answer:
        """Returns the meaning of a name in an annotation, in the module or the file where it is written."""
        module = self._finder.file(home) if home.endswith((".py", ".pyi")) else self._finder.module(home)
        if not isinstance(module, PythonModule):
            return _UNKNOWN
        return Answer(Verdict.UNKNOWN, meaning=self._meanings.meaning(module, name))

    def _answer(self, value: Value, attribute: str) -> Answer:
        for name in attribute.split("."):
            value = self._resolver.attribute(value, name)
        match value:
            case MissingValue(verdict=verdict, wrong=wrong, names=names):
                return Answer(verdict, wrong=wrong, names=tuple(dict.fromkeys(names)))
            case ModuleValue():
                return Answer(Verdict.NOT_CALLABLE, wrong="a module")
            case ConstantValue(module=module, node=literal):
                return Answer(Verdict.NOT_CALLABLE, (), _place(module, literal), wrong=_kind(literal))
            case UnknownValue(reason=reason, wrong=wrong, names=names):
                return Answer(Verdict.UNKNOWN, reason=reason, wrong=wrong, names=names)
            case NativeValue(value=native):
                if not callable(native):
                    return _UNKNOWN
                compiled = "it is compiled and does not declare its parameters"
                signatures, result = self._callables.signatures(value), self._results.result(value)
                return Answer(Verdict.CALLABLE, signatures, result=result, reason="" if signatures else compiled)
            case ClassValue() | FunctionValue():
                node = value.node if isinstance(value, ClassValue) else value.nodes[0]
                signatures, result = self._callables.signatures(value), self._results.result(value)
                deprecated = deprecation(value)
                place = _place(value.module, node)
                reason = "" if signatures else _reason(node)
                return Answer(Verdict.CALLABLE, signatures, place, result=result, deprecated=deprecated, reason=reason)
            case InstanceValue() | PartialValue() | FieldsValue() | EitherValue():
                return Answer(Verdict.CALLABLE, self._callables.signatures(value), result=self._results.result(value))
            case _:
                assert_never(value)


def _reason(node: ast.AST) -> str:
    """Returns why the parameters of a definition are not known."""
    decorators = [ast.unparse(item).partition("(")[0] for item in getattr(node, "decorator_list", ())]
    if decorators:
        return f"its decorator `{decorators[0]}` may change its signature"
    made = "the way its objects are made is decided at run time"
    return made if isinstance(node, ast.ClassDef) else "its signature is created at run time"


def _kind(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        name = type(node.value).__name__
        return "None" if node.value is None else f"an {name}" if name == "int" else f"a {name}"
    return {"List": "a list", "Dict": "a dict", "Set": "a set", "Tuple": "a tuple"}.get(type(node).__name__, "a str")


def _place(module: PythonModule, node: ast.AST) -> DefinitionPlace:
    """Returns the place of a definition's name, which may also stand in `def` or `class`: the name of `def f()`."""
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    name = getattr(node, "name", None)
    if name is None:
        return DefinitionPlace(module.path, line, column + 1, 1)
    found = re.compile(rf"(?:async\s+)?(?:def|class)\s+(?={re.escape(name)})").search(module.source.line(line), column)
    return DefinitionPlace(module.path, line, (column if found is None else found.end()) + 1, len(name))
