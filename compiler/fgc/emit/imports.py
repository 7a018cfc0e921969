"""Imports of a module, and the expressions that refer to them; two objects of one name get two names."""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from fgc.emit.expression import Argument, Attribute, Expression, Invoke, Name
from fgc.emit.literal import string
from fgc.emit.names import BUILTIN_NAMES, Names, is_identifier
from fgc.ir import Symbol, SymbolKind

# modules whose functions need the module's name to be understood: `torch.randn`, `json.loads`
_SPOKEN = frozenset({"datetime", "json", "math", "operator", "os", "platform", "random", "socket", "sys", "time"})
_SPOKEN_FUNCTIONS = frozenset({"numpy", "torch"})
SOURCES = "sources"
# names that generated code may need itself, which nothing else gets
_OWN: dict[tuple[str, str | None], str] = {
    ("typing", "Any"): "Any",
    ("functools", "partial"): "partial",
    ("importlib", "import_module"): "import_module",
    ("importlib.metadata", "version"): "version",
    **{
        (module, None): module for module in ("argparse", "math", "operator", "os", "platform", "socket", "sys", "time")
    },
}
OWN_NAMES = frozenset(_OWN.values())


class Import(Struct, frozen=True):
    """`import module as alias`, or `from module import name as alias`."""

    module: str
    name: str | None
    alias: str | None
    section: int  # standard library, installed packages, or files beside the program


class Imports:
    """Collects the imports of one module."""

    def __init__(
        self, names: Names, file_module: Callable[[Symbol], str], packages_beside: Collection[str] = ()
    ) -> None:
        self._names = names
        self._beside = {SOURCES, *packages_beside}
        self._file_module = file_module
        self._bound: dict[tuple[str, str | None], str] = {}
        self._used: set[tuple[str, str | None]] = set()
        self._odd_modules: dict[str, str] = {}
        self.constants: dict[str, Expression] = {}

    def callable(self, symbol: Symbol) -> Expression:
        """Returns the expression for a callable of a module or file."""
        module = self._file_module(symbol) if symbol.kind is SymbolKind.FILE else symbol.container
        head, *rest = symbol.attribute.split(".")
        return _attributes(self._head(module, head), rest)

    def builtin(self, attribute: str) -> Expression:
        """Returns the expression for a builtin, perhaps dotted: `dict.fromkeys`."""
        head, *rest = attribute.split(".")
        if is_identifier(head):
            return _attributes(Name(head), rest)
        return _attributes(Name(self.module("builtins")), [head, *rest])

    def function(self, module: str, name: str) -> Name:
        """Imports `name` of a module, under that name if it is free."""
        return Name(self._bind(module, name))

    def module(self, module: str) -> str:
        """Imports a whole module and returns its name in the program."""
        return self._bind(module, None)

    def all(self) -> list[Import]:
        """Returns every import, in isort's order."""
        found = [
            Import(module, name, None if bound == (name or module) else bound, self._section(module))
            for (module, name), bound in self._bound.items()
            if (module, name) in self._used
        ]
        first: dict[str, tuple[object, ...]] = {}
        for item in sorted(found, key=_member_key):
            if item.alias is None and item.name is not None:
                first.setdefault(item.module, _member_key(item))
        return sorted(found, key=lambda item: _isort_key(item, first))

    def register(self, symbols: Iterable[Symbol]) -> None:
        """Reserves the names of a program's callables before anything else gets a name."""
        listed = list(symbols)
        for symbol in listed:
            if symbol.kind is SymbolKind.BUILTIN:
                self._names.reserve(symbol.attribute.partition(".")[0])
        for symbol in listed:
            if symbol.kind is not SymbolKind.BUILTIN and not is_operator(symbol):
                self.callable(symbol)
        self._used.clear()  # registered names are imported only when they are used
        self.constants.clear()

    def _section(self, module: str) -> int:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            return 0
        return 2 if top in self._beside else 1

    def _head(self, module: str, name: str) -> Expression:
        if not all(is_identifier(part) for part in module.split(".")):
            return (
                Attribute(self._loaded(module), name, is_pure=True)
                if is_identifier(name)
                else _attributes(self._loaded(module), [name])
            )
        is_spoken = module in _SPOKEN or (module in _SPOKEN_FUNCTIONS and name.islower())
        if is_spoken or not is_identifier(name) or (name.islower() and name in BUILTIN_NAMES):
            return _attributes(Name(self.module(module)), [name])
        return self.function(module, name)

    def _bind(self, module: str, name: str | None) -> str:
        key = (module, name)
        self._used.add(key)
        if key in _OWN:
            return self._bound.setdefault(key, _OWN[key])
        if key not in self._bound:
            wish = name or module
            is_free = self._names.is_free(wish.partition(".")[0] if name is None else wish)
            is_known_package = name is None and "." in module and self._is_package_bound(module)
            if is_free or is_known_package:
                self._bound[key] = wish
                self._names.reserve(wish.partition(".")[0])
            else:
                self._bound[key] = self._alias(module, name)
        return self._bound[key]

    def _is_package_bound(self, module: str) -> bool:
        top = module.partition(".")[0]
        return any(
            name is None and bound.partition(".")[0] == top == known.partition(".")[0]
            for (known, name), bound in self._bound.items()
        )

    def _alias(self, module: str, name: str | None) -> str:
        """Returns an alias: `OptimAdamW` for a second AdamW, from torch.optim; `os_path` for a module."""
        if name is None:
            return self._names.fresh(module.replace(".", "_"))
        package = module.rpartition(".")[2]
        if name[:1].isupper():
            wish = "".join(part[:1].upper() + part[1:] for part in package.split("_")) + name
            if self._names.is_free(wish):
                return self._names.reserve(wish)
            number = 2
            while not self._names.is_free(f"{name}{number}"):
                number += 1
            return self._names.reserve(f"{name}{number}")
        return self._names.fresh(f"{package}_{name}")

    def _loaded(self, module: str) -> Expression:
        """Returns a constant for a module whose name is not an identifier, loaded with importlib."""
        load = self.function("importlib", "import_module")
        if module not in self._odd_modules:
            self._odd_modules[module] = self._names.fresh(module)
        name = self._odd_modules[module]
        self.constants[name] = Invoke(load, (Argument(string(module)),), is_pure=True)
        return Name(name)


def _attributes(value: Expression, names: list[str]) -> Expression:
    for name in names:
        if is_identifier(name):
            value = Attribute(value, name, is_pure=True)
        else:
            value = Invoke(Name("getattr"), (Argument(value), Argument(string(name))), is_pure=True)
    return value


def _isort_key(item: Import, first: Mapping[str, tuple[object, ...]]) -> tuple[object, ...]:
    """Returns isort's key: plain imports first, modules by name; `first` has the first name of each line."""
    is_alone = item.name is None or item.alias is not None
    line = _member_key(item) if is_alone else first[item.module]
    module = (_natural(item.module.lower()), _natural(item.module))
    return (item.section, item.name is not None, *module, line, _member_key(item))


def _member_key(item: Import) -> tuple[object, ...]:
    """Returns isort's key of an imported name: constants, then classes, then functions."""
    name = item.name or ""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return (kind, _natural(name.lower()), _natural(name))


def _natural(text: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", text)
    return [(1, int(part), "") if part.isdigit() else (2, 0, part) for part in parts if part]


def is_operator(symbol: Symbol) -> bool:
    """Returns True if its calls may become operators, so that nothing is imported."""
    return symbol.kind is SymbolKind.MODULE and symbol.container == "operator"
