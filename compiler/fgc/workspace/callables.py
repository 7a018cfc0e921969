"""Callables that configurations name, looked up in installed packages and in files of the project.

Nothing is imported.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from fgc.diagnostics.nearest import misspelt
from fgc.installed import typeshed_module
from fgc.ir import Symbol, SymbolKind
from fgc.questions import Dependencies
from fgc.signatures import UNKNOWN_MEANING, Answer, Lookup, Meaning, ModuleFinder, TypeName, Verdict
from fgc.text import Source
from fgc.workspace.store import FileStore

T = TypeVar("T")


class CallableFiles:
    """Looks callables up; every file that an answer rests on is noted."""

    def __init__(self, folder: Path, store: FileStore, module_folders: Sequence[Path] = ()) -> None:
        """`module_folders` are searched for modules too, after everything that is installed."""
        self._folder = folder
        self._module_folders = [path.absolute() for path in module_folders]
        self._store = store
        self._seen = Dependencies()
        self._lookup: Lookup | None = None

    def look_up(self, symbol: Symbol) -> Answer:
        """Returns what is known of a callable."""
        question = f"{symbol.container}:{symbol.attribute}" if symbol.has_dots_only else symbol.text
        if symbol.kind is SymbolKind.FILE:
            question = f"{self._folder.absolute() / symbol.container}:{symbol.attribute}"
        return self._answer(question, lambda: self._fresh(symbol))

    def attribute(self, owner: TypeName, name: str) -> Answer:
        """Returns what an attribute of an object is, as the result of an answer."""
        question = f"{owner.path}:{owner.bases[0] if owner.bases else owner.name}.{name}"
        if owner.path is None:
            return Answer(Verdict.UNKNOWN)
        return self._answer(question, lambda: self._reader().of_object(owner, name))

    def meaning(self, home: str, name: str) -> Meaning:
        """Returns the meaning of a name in an annotation, in the module or the file where it is written."""
        question = f"{name} in {home}"
        return self._answer(question, lambda: self._reader().meaning(home, name)).meaning or UNKNOWN_MEANING

    def definition(self, path: str) -> Source | None:
        """The text of a file that defines something."""
        return self._store.python(Path(path), path)

    def similar_package(self, name: str) -> str | None:
        """An installed package that `name` is a slip of."""

        def look() -> str | None:
            for entry in self._entries:
                self._store.questions.saw(Path(entry) / name)
            similar = misspelt(name, _packages())
            return similar if similar is not None and _has_code(similar) else None

        return self._store.questions.ask(("similar package", name), look)

    def packages(self) -> list[str]:
        """Returns the packages that can be imported, those of the project's module folders included."""
        found = {name for name in _packages() if not name.startswith("_")}
        for folder in filter(Path.is_dir, self._module_folders):
            self._store.questions.saw_folder(folder)
            found |= {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
        return sorted(name for name in found if name.isidentifier() and name != "__pycache__")

    def modules_in(self, package: str) -> list[str]:
        """The modules that lie in a package."""
        folder = self._noted(lambda: self._reader().folder_of(package))
        if folder is None or not Path(folder).is_dir():
            return []
        self._store.questions.saw_folder(folder)
        names = {path.stem for path in Path(folder).iterdir() if path.suffix == ".py" or path.is_dir()}
        return sorted(name for name in names if not name.startswith("_"))

    def names_in(self, module: str) -> list[str]:
        """Returns the names that a module, or a file of the project, shows."""
        place = str(self._folder.absolute() / module) if module.endswith(".py") else module
        return self._store.questions.ask(
            ("names in", place, *self._module_folders), lambda: self._noted(lambda: self._reader().names_in(place))
        )

    def longest_module(self, name: str) -> str | None:
        """The longest module that a dotted name begins with; None if its first part is no package here."""
        return self._noted(lambda: self._reader().longest_module(name))

    def _answer(self, question: str, read: Callable[[], Answer]) -> Answer:
        """An answer about a name, kept between runs."""
        key = ["signature", question, [*sys.path[1:], *map(str, self._module_folders)]]
        return self._store.questions.keep(key, Answer, lambda: self._noted(read))

    def _noted(self, read: Callable[[], T]) -> T:
        """Reads now. The result depends on all that was read before, too: a module is read once."""
        answer, seen = self._store.questions.watch(read)
        self._seen.add(seen)
        self._store.questions.rest_on(self._seen)
        return answer

    def _fresh(self, symbol: Symbol) -> Answer:
        lookup = self._reader()
        match symbol.kind:
            case SymbolKind.FILE:
                answer = lookup.in_file(str(self._folder.absolute() / symbol.container), symbol.attribute)
            case SymbolKind.BUILTIN:
                answer = lookup.builtin(symbol.attribute)
            case _:
                answer = lookup.in_module(symbol.container, symbol.attribute)
        if answer.verdict is Verdict.NOT_INSTALLED:
            for entry in self._entries:
                self._store.questions.saw(Path(entry) / answer.wrong)
                self._store.questions.saw(Path(entry) / f"{answer.wrong}.py")
        return answer

    def _reader(self) -> Lookup:
        if self._lookup is None:
            files = ModuleFinder(self._read_file, self._exists, self._top)
            stubs = ModuleFinder(self._read_file, self._exists, typeshed_module, has_natives=False)
            self._lookup = Lookup(files, stubs)
        return self._lookup

    @property
    def _entries(self) -> list[str]:
        """Returns where modules may lie."""
        return [*sys.path, *map(str, self._module_folders)]

    def _top(self, name: str) -> str | None:
        """Returns where a top package lies: as Python finds it, else in the folders of the project's modules."""
        found = _top(name)
        if found is not None:
            return found
        for folder in self._module_folders:
            if self._exists(f"{folder}/{name}.py"):
                return f"{folder}/{name}.py"
            if self._exists(f"{folder}/{name}"):
                return f"{folder}/{name}/"
        return None

    def _read_file(self, path: str) -> Source | None:
        return self._store.python(Path(path), path)

    def _exists(self, path: str) -> bool:
        self._store.questions.saw(path)
        return Path(path).exists()


def _top(name: str) -> str | None:
    """Returns where a top package lies: its folder with a slash behind it, or its file. Runs none of its code."""
    try:
        spec = find_spec(name)
    except (ValueError, ImportError):  # `__main__`, and modules that took their own specification away
        return name
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return f"{next(iter(spec.submodule_search_locations))}/"
    return spec.origin or name


def _has_code(name: str) -> bool:
    """Returns False for a folder that is no package."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


@cache
def _packages() -> frozenset[str]:
    """The names that may be imported here, by what lies in the folders of the search path; those are not opened."""
    names = {name for entry in sys.path[1:] for name in _listed(entry)}
    found = {name.partition(".")[0] for name in names if name.endswith((".py", ".so", ".pyd")) or "." not in name}
    return frozenset(name for name in found if name.isidentifier()) | sys.stdlib_module_names


def _listed(folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:  # also an archive
        return []
