"""Dotted names to the files of their modules, without importing anything.

Only the top package is looked up in Python's path, which runs none of its code; the rest are files below it.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache

from msgspec import Struct

from fgc.signatures.modules import PythonModule
from fgc.signatures.native import native_module
from fgc.text import Source

Read = Callable[[str], Source | None]


class NativeModule(Struct, frozen=True):
    """A module of the interpreter or of its standard library that is compiled: it has no text to read."""

    name: str


class Absent(Struct, frozen=True):
    """No such module: `wrong` is the first dotted name that does not exist."""

    wrong: str
    is_top: bool


class Opaque(Struct, frozen=True):
    """A module that is there and cannot be read: an extension without a stub.

    Without `has_file` it may be there: a package can bring modules into being that have no file.
    """

    name: str
    has_file: bool = True


Found = PythonModule | NativeModule | Absent | Opaque


class ModuleFinder:
    """Finds modules; every file is read once."""

    def __init__(
        self, read: Read, exists: Callable[[str], bool], top: Callable[[str], str | None], has_natives: bool = True
    ) -> None:
        """`has_natives`: modules of the interpreter are asked themselves, and not looked for as files."""
        self.has_natives = has_natives
        self._read = read
        self._exists = exists
        self._top = top
        self._found: dict[str, Found] = {}
        self._stubs: dict[str, PythonModule | None] = {}

    def module(self, name: str) -> Found:
        """The module of a dotted name."""
        if name not in self._found:
            parent, _, last = name.rpartition(".")
            self._found[name] = self._below(self.module(parent), name, last) if parent else self._at_top(name)
        return self._found[name]

    def stub(self, module: PythonModule) -> PythonModule | None:
        """The stub beside a module's file: it tells of what an extension brings in."""
        key = f"{module.path}i"
        if module.is_stub or not module.path.endswith(".py"):
            return None
        if key not in self._stubs:
            source = self._read(key)
            self._stubs[key] = None if source is None else PythonModule(module.name, key, source)
        return self._stubs[key]

    def file(self, path: str) -> PythonModule | None:
        """The module in a file of the project, which belongs to no package."""
        source = self._read(path)
        name = path.rpartition("/")[2].removesuffix(".py")
        return None if source is None else PythonModule(name, path, source, home=path)

    def _at_top(self, name: str) -> Found:
        if self.has_natives and name in sys.builtin_module_names:
            return NativeModule(name)
        origin = self._top(name)
        if origin is None:
            return Absent(name, is_top=True)
        if origin.endswith("/"):
            return self._folder(name, origin)
        return self._file(name, origin)

    def _below(self, parent: Found, name: str, last: str) -> Found:
        if isinstance(parent, Absent):
            return parent
        if name == "os.path":
            return self.module(os.path.__name__)
        if isinstance(parent, NativeModule):
            return Opaque(name, has_file=False) if _has_native_below(parent.name, name) else Absent(name, is_top=False)
        if not isinstance(parent, PythonModule):
            return Opaque(name, has_file=False)
        if not parent.is_package:  # a module has others below it only if it makes them itself
            return Opaque(name, has_file=False) if self._may_serve(parent, last) else Absent(name, is_top=False)
        folder = parent.path.rpartition("/")[0]
        found = self._folder(name, f"{folder}/{last}/", f"{folder}/{last}")
        return Opaque(name, has_file=False) if isinstance(found, Absent) and self._may_serve(parent, last) else found

    def _may_serve(self, package: PythonModule, last: str) -> bool:
        """Returns True if a package may bring a module into being that has no file."""
        names = package.name.split(".")
        above = [self.module(".".join(names[: end + 1])) for end in range(len(names))]
        if any(isinstance(module, PythonModule) and "meta_path" in module.source.text for module in above):
            return True
        if "__path__" in package.source.text:
            return True
        texts = [package.source.text, *self._called_by(package)]
        return any("sys.modules" in text and re.search(rf"\b{last}\b", text) for text in texts)

    def _called_by(self, package: PythonModule) -> Iterator[str]:
        """The texts of the package's own modules whose functions its `__init__` calls as it is imported."""
        text, top = package.source.text, package.name.partition(".")[0]
        for name in set(re.findall(r"^(\w+)\(", text, re.MULTILINE)):
            imported = re.search(rf"^from ({top}[\w.]*|\.[\w.]*) import [^\n#]*\b{name}\b", text, re.MULTILINE)
            if imported is not None:
                home = imported[1]
                found = self.module(f"{package.name}{home}" if home.startswith(".") else home)
                if isinstance(found, PythonModule) and found is not package:
                    yield found.source.text

    def _folder(self, name: str, folder: str, stem: str | None = None) -> Found:
        for path in (f"{folder}__init__.py", *([f"{stem}.py"] if stem else [])):
            source = self._read(path)
            if source is not None:
                return PythonModule(name, path, source)
        for path in (*([f"{stem}.pyi"] if stem else []), f"{folder}__init__.pyi"):
            source = self._read(path)
            if source is not None:
                return PythonModule(name, path, source)
        if any(self._exists(f"{stem}{suffix}") for suffix in _suffixes()):
            return Opaque(name)
        if self._exists(folder.rstrip("/")):
            path = f"{folder}__init__.py"
            return Opaque(name) if stem is None else PythonModule(name, path, Source(path, ""))  # a namespace
        return Absent(name, is_top=False)

    def _file(self, name: str, origin: str) -> Found:
        if origin.endswith((".py", ".pyi")):
            source = self._read(origin)
            return Opaque(name) if source is None else PythonModule(name, origin, source)
        if name in sys.stdlib_module_names:
            return NativeModule(name)
        stub = self._read(f"{origin.partition('.')[0]}.pyi") if "/" in origin else None
        return Opaque(name) if stub is None else PythonModule(name, f"{origin.partition('.')[0]}.pyi", stub)


def _has_native_below(parent: str, name: str) -> bool:
    """Returns True if a compiled module of Python has, or may have, a module below it."""
    module = native_module(parent)
    return module is None or hasattr(module, "__path__") or name in sys.modules


@cache
def _suffixes() -> tuple[str, ...]:
    from importlib.machinery import all_suffixes

    return tuple(all_suffixes())
