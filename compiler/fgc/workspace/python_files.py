"""Python files that configurations name: model components and local modules, read as texts and never imported."""

from collections.abc import Sequence
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

    def __init__(self, folder: Path, store: FileStore, module_folders: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._store = store
        self._callables = CallableFiles(folder, store, module_folders)
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

    def folders(self) -> list[str]:
        """Returns the folders of the project that may hold Python files, for suggestions."""
        self._store.questions.saw_folder(self._folder)
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        return sorted(path.name for path in found if path.is_dir() and path.name[0] not in "._")

    def components(self) -> list[str]:
        """Returns the names of the model components."""
        folders = self.component_folders
        return sorted(name[:-3] for folder in folders for name in self.python_files(folder) if name[0] != "_")

    def component(self, name: str) -> str | None:
        """Returns the file of a model component, by its name with the dot in front."""
        files = (f"{folder}/{name[1:]}.py" for folder in self.component_folders)
        return next((file for file in files if self.read_python(file) is not None), None)

    def packages(self) -> list[str]:
        """Returns the packages that can be imported, for suggestions."""
        return self._callables.packages()

    def look_up(self, symbol: Symbol) -> Answer:
        """Returns what is known of a callable. The files that say so do not count as read: no build rests on them."""
        return self._callables.look_up(symbol)

    def attribute(self, owner: TypeName, name: str) -> Answer:
        """Returns what an attribute of an object is, as the result of an answer."""
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
