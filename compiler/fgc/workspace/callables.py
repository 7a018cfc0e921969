"""Callables that configurations name, looked up in installed packages and in files of the project.

Nothing is imported.
"""

import sys
from collections.abc import Callable
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

    def __init__(self, folder: Path, store: FileStore) -> None:
        self._folder = folder
        self._store = store
        self._seen = Dependencies()
        self._lookup: Lookup | None = None

    def look_up(self, symbol: Symbol) -> Answer:
        """What is known of a callable."""
        question = f"{symbol.container}:{symbol.attribute}" if symbol.has_dots_only else symbol.text
        if symbol.kind is SymbolKind.FILE:
            question = f"{self._folder.absolute() / symbol.container}:{symbol.attribute}"
        return self._answer(question, lambda: self._fresh(symbol))

    def attribute(self, owner: TypeName, name: str) -> Answer:
        """What an attribute of an object is, as the result of an answer."""
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
            for entry in sys.path:
                self._store.questions.saw(Path(entry) / name)
            return misspelt(name, _packages())

        return self._store.questions.ask(("similar package", name), look)

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
            ("names in", place), lambda: self._noted(lambda: self._reader().names_in(place))
        )

    def longest_module(self, name: str) -> str | None:
        """The longest module that a dotted name begins with; None if its first part is no package here."""
        return self._noted(lambda: self._reader().longest_module(name))

    def _answer(self, question: str, read: Callable[[], Answer]) -> Answer:
        """An answer about a name, kept between runs."""
        key = ["signature", question, sys.path[1:]]
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
            for entry in sys.path:
                self._store.questions.saw(Path(entry) / answer.wrong)
                self._store.questions.saw(Path(entry) / f"{answer.wrong}.py")
        return answer

    def _reader(self) -> Lookup:
        if self._lookup is None:
            files = ModuleFinder(self._read_file, self._exists, _top)
            stubs = ModuleFinder(self._read_file, self._exists, typeshed_module, has_natives=False)
            self._lookup = Lookup(files, stubs)
        return self._lookup

    def _read_file(self, path: str) -> Source | None:
        return self._store.python(Path(path), path)

    def _exists(self, path: str) -> bool:
        self._store.questions.saw(path)
        return Path(path).exists()


def _top(name: str) -> str | None:
    """Where a top package lies: its folder with a slash behind it, or its file. Runs none of its code."""
    try:
        spec = find_spec(name)
    except (ValueError, ImportError):  # `__main__`, and modules that took their own specification away
        return name
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return f"{next(iter(spec.submodule_search_locations))}/"
    return spec.origin or name


@cache
def _packages() -> frozenset[str]:
    """The names that can be imported here."""
    from pkgutil import iter_modules  # 3 ms, and 20 to look through the folders; only where a package is missing

    return frozenset(module.name for module in iter_modules()) | sys.stdlib_module_names
