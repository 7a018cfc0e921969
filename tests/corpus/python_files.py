"""Python files of a corpus case, looked up as the compiler looks up installed packages and local files."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from fgc.diagnostics import misspelt
from fgc.installed import typeshed_module
from fgc.ir import Symbol, SymbolKind
from fgc.signatures import UNKNOWN_MEANING, Answer, Lookup, Meaning, ModuleFinder, TypeName
from fgc.text import Source


class PythonFiles:
    """Files in memory: `parts.py` is a local file, and `lib/` a package; the standard library is the real one."""

    component_folders: Sequence[str] = ()

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._sources = {name: Source(name, text) for name, text in texts.items() if name.endswith((".py", ".pyi"))}
        stubs = ModuleFinder(self.definition, self._exists, typeshed_module, has_natives=False)
        self._lookup = Lookup(ModuleFinder(self.definition, self._exists, self._top), stubs)

    def __bool__(self) -> bool:
        return bool(self._sources)

    def look_up(self, symbol: Symbol) -> Answer:
        match symbol.kind:
            case SymbolKind.FILE:
                return self._lookup.in_file(symbol.container, symbol.attribute)
            case SymbolKind.BUILTIN:
                return self._lookup.builtin(symbol.attribute)
            case _:
                return self._lookup.in_module(symbol.container, symbol.attribute)

    def longest_module(self, name: str) -> str | None:
        return self._lookup.longest_module(name)

    def attribute(self, owner: TypeName, name: str) -> Answer:
        return self._lookup.of_object(owner, name)

    def meaning(self, home: str, name: str) -> Meaning:
        return self._lookup.meaning(home, name).meaning or UNKNOWN_MEANING

    def definition(self, path: str) -> Source | None:
        if path not in self._sources and path.startswith("/") and Path(path).is_file():
            self._sources[path] = Source(Path(path).name, Path(path).read_text(encoding="utf-8"), path)
        return self._sources.get(path)

    def read_python(self, path: str) -> Source | None:
        return self.definition(path)

    def has_folder(self, path: str) -> bool:
        return self._exists(path)

    def python_files(self, folder: str) -> list[str]:
        return [name for name in self._sources if "/" not in name] if not folder else []

    def similar_package(self, name: str) -> str | None:
        return misspelt(name, {path.partition("/")[0] for path in self._sources})

    def modules_in(self, package: str) -> list[str]:
        folder = package.replace(".", "/")
        below = [name.removeprefix(f"{folder}/") for name in self._sources if name.startswith(f"{folder}/")]
        return sorted({name.partition("/")[0].removesuffix(".py") for name in below})

    def _exists(self, path: str) -> bool:
        return any(name == path or name.startswith(f"{path}/") for name in self._sources)

    def _top(self, name: str) -> str | None:
        if self._exists(name):
            return f"{name}/"
        spec = find_spec(name)
        if spec is None:
            return None
        folders = spec.submodule_search_locations
        return f"{next(iter(folders))}/" if folders else spec.origin
