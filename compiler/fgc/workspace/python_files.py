"""Python files that configurations name: model components and local modules, read as texts and never imported."""

from pathlib import Path

from fgc.ir import Symbol
from fgc.signatures import Answer, Meaning, TypeName
from fgc.text import Source
from fgc.workspace.callables import CallableFiles
from fgc.workspace.library import component_folder
from fgc.workspace.store import FileStore


class PythonFiles:
    """Reads Python files by absolute path, or relative to a project; `read` and `missing` collect what
    was read, and what is not there.
    """

    def __init__(self, folder: Path, store: FileStore) -> None:
        self._folder = folder
        self._store = store
        self._callables = CallableFiles(folder, store)
        self.read: dict[Path, Source] = {}
        self.missing: set[Path] = set()

    @property
    def component_folders(self) -> list[str]:
        components = component_folder()
        return [str(components)] if components else []

    def read_python(self, path: str) -> Source | None:
        found = self._folder / path  # an absolute path stays as it is
        source = self._store.python(found, path)
        if source is None:
            self.missing.add(found)
        else:
            self.read[found] = source
        return source

    def has_folder(self, path: str) -> bool:
        """Returns True if there is a folder of this path, absolute or relative to the project."""
        found = self._folder / path
        self._store.questions.saw(found)
        return found.is_dir()

    def python_files(self, folder: str) -> list[str]:
        """Returns the names of the Python files in a folder, for suggestions."""
        found = self._folder / folder
        self._store.questions.saw_folder(found)
        return sorted(path.name for path in found.iterdir() if path.suffix == ".py") if found.is_dir() else []

    def look_up(self, symbol: Symbol) -> Answer:
        """What is known of a callable. The files that say so do not count as read: a build does not rest on them."""
        return self._callables.look_up(symbol)

    def attribute(self, owner: TypeName, name: str) -> Answer:
        """What an attribute of an object is, as the result of an answer."""
        return self._callables.attribute(owner, name)

    def meaning(self, home: str, name: str) -> Meaning:
        """Returns the meaning of a name in an annotation, in the module or the file where it is written."""
        return self._callables.meaning(home, name)

    def definition(self, path: str) -> Source | None:
        """The text of a file that defines a callable."""
        return self._callables.definition(path)

    def modules_in(self, package: str) -> list[str]:
        """The modules that lie in a package."""
        return self._callables.modules_in(package)

    def names_in(self, module: str) -> list[str]:
        """Returns the names that a module, or a file of the project, shows."""
        return self._callables.names_in(module)

    def longest_module(self, name: str) -> str | None:
        """The longest module that a dotted name begins with."""
        return self._callables.longest_module(name)

    def similar_package(self, name: str) -> str | None:
        """An installed package that `name` is a slip of."""
        return self._callables.similar_package(name)
