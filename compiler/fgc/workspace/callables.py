"""Callables that configurations name, looked up in installed packages and in files of the project.

Nothing is imported.
"""

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fgc.diagnostics.nearest import misspelt
from fgc.installed import typeshed_module
from fgc.ir import Symbol, SymbolKind
from fgc.signatures import UNKNOWN_MEANING, Answer, Lookup, Meaning, ModuleFinder, TypeName, Verdict
from fgc.text import Source
from fgc.workspace.signature_cache import SignatureCache
from fgc.workspace.store import FileStore


class CallableFiles:
    """Looks callables up; notes in the store's trace every file that an answer rests on."""

    def __init__(self, folder: Path, store: FileStore) -> None:
        self._folder = folder
        self._store = store
        self._cache = SignatureCache()
        self._known: dict[str, Answer] = {}
        self._read: set[str] = set()
        self._absent: set[str] = set()
        self._lookup: Lookup | None = None

    def look_up(self, symbol: Symbol) -> Answer:
        """What is known of a callable."""
        question = f"{symbol.container}:{symbol.attribute}" if symbol.has_dots_only else symbol.text
        if symbol.kind is SymbolKind.FILE:
            question = f"{self._folder.absolute() / symbol.container}:{symbol.attribute}"
        if question not in self._known:
            self._known[question] = self._kept(question) or self._fresh(question, symbol)
        return self._known[question]

    def attribute(self, owner: TypeName, name: str) -> Answer:
        """What an attribute of an object is, as the result of an answer."""
        question = f"{owner.path}:{owner.bases[0] if owner.bases else owner.name}.{name}"
        if owner.path is None:
            return Answer(Verdict.UNKNOWN)
        if question not in self._known:
            kept = self._kept(question)
            if kept is None:
                kept = self._reader().of_object(owner, name)
                self._cache.put(question, kept, self._read, self._absent)
            self._known[question] = kept
        return self._known[question]

    def meaning(self, home: str, name: str) -> Meaning:
        """What a name in an annotation means, in the module or the file where it is written."""
        question = f"{name} in {home}"
        if question not in self._known:
            kept = self._kept(question)
            if kept is None:
                kept = self._reader().meaning(home, name)
                self._cache.put(question, kept, self._read, self._absent)
            self._known[question] = kept
        return self._known[question].meaning or UNKNOWN_MEANING

    def definition(self, path: str) -> Source | None:
        """The text of a file that defines something."""
        return self._store.python(Path(path), path)

    def similar_package(self, name: str) -> str | None:
        """An installed package that `name` is a slip of."""
        for entry in sys.path:
            self._store.trace.absent.add(Path(entry) / name)
        return misspelt(name, _packages())

    def modules_in(self, package: str) -> list[str]:
        """The modules that lie in a package."""
        folder = self._reader().folder_of(package)
        if folder is None or not Path(folder).is_dir():
            return []
        self._store.trace.folders.add(Path(folder))
        names = {path.stem for path in Path(folder).iterdir() if path.suffix == ".py" or path.is_dir()}
        return sorted(name for name in names if not name.startswith("_"))

    def longest_module(self, name: str) -> str | None:
        """The longest module that a dotted name begins with; None if its first part is no package here."""
        return self._reader().longest_module(name)

    def _kept(self, question: str) -> Answer | None:
        kept = self._cache.get(question)
        if kept is None:
            return None
        answer, files, absent = kept
        self._store.trace.files.update(map(Path, files))
        self._store.trace.absent.update(map(Path, absent))
        return answer

    def _fresh(self, question: str, symbol: Symbol) -> Answer:
        lookup = self._reader()
        match symbol.kind:
            case SymbolKind.FILE:
                answer = lookup.in_file(str(self._folder.absolute() / symbol.container), symbol.attribute)
            case SymbolKind.BUILTIN:
                answer = lookup.builtin(symbol.attribute)
            case _:
                answer = lookup.in_module(symbol.container, symbol.attribute)
        if answer.verdict is not Verdict.NOT_INSTALLED:
            self._cache.put(question, answer, self._read, self._absent)
        return answer

    def _reader(self) -> Lookup:
        if self._lookup is None:
            files = ModuleFinder(self._read_file, self._exists, _top)
            stubs = ModuleFinder(self._read_file, self._exists, typeshed_module, has_natives=False)
            self._lookup = Lookup(files, stubs)
        return self._lookup

    def _read_file(self, path: str) -> Source | None:
        source = self._store.python(Path(path), path)
        (self._absent if source is None else self._read).add(path)
        return source

    def _exists(self, path: str) -> bool:
        found = Path(path).exists()
        if not found:
            self._store.trace.absent.add(Path(path))
        return found


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
