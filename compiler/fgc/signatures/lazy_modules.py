"""Packages that import their modules when a name is asked for: which names they surely do not have.

They show their names to tools that read, in imports under `TYPE_CHECKING`. A name that stands in none of the files
that those reach is missing. Reading them all takes half a second for transformers; only a name that is not found costs
it.
"""

import ast
import re
from collections.abc import Callable, Iterator

from fgc.patterns import regex
from fgc.signatures.answer import Verdict
from fgc.signatures.modules import PythonModule
from fgc.signatures.values import UNKNOWN, MissingValue, ModuleValue, UnknownValue, Value

_DEFINED = regex(r"^(?:class|def) (\w+)", re.MULTILINE)
_MAX_DEPTH = 4  # transformers, transformers.models, transformers.models.llama, its files
_MAX_NAMES = 60


def is_lazy(module: PythonModule) -> bool:
    """Returns True for a package that puts a `_LazyModule` in its own place."""
    return "_LazyModule(" in module.source.text


class LazyModules:
    """Looks for names in all files of a package; remembers which these are."""

    def __init__(self, star: Callable[[PythonModule, ast.ImportFrom], Value]) -> None:
        """`star` gives the module of a star import."""
        self._star = star
        self._reached: dict[str, list[PythonModule | None]] = {}
        self._more: dict[str, Iterator[PythonModule | None]] = {}

    def missing(self, module: PythonModule, name: str) -> MissingValue | UnknownValue:
        """Returns the value of a name that nothing binds."""
        names: set[str] = set()
        for source in self._files(module):
            if source is None or _is_word(name, source.source.text):
                return UNKNOWN
            if name[:4] in source.source.text:
                names.update(_DEFINED.findall(source.source.text))
        return MissingValue(Verdict.NO_ATTRIBUTE, name, tuple(_likely(name, names)))

    def names(self, module: PythonModule) -> set[str]:
        """Returns the classes and functions in all files of a package: reading those of transformers takes a while."""
        found = (_DEFINED.findall(source.source.text) for source in self._files(module) if source is not None)
        return {name for names in found for name in names}

    def _files(self, module: PythonModule) -> Iterator[PythonModule | None]:
        """The files of a package, read one after another as far as anyone has to look."""
        known = self._reached.setdefault(module.path, [])
        yield from known
        for source in self._more.setdefault(module.path, _reached(module, self._star, 0)):
            known.append(source)
            yield source


def _is_word(name: str, text: str) -> bool:
    """Returns True if a name stands in a text by itself: `LlamaForCausalL` does not stand in `LlamaForCausalLM`."""
    return name in text and re.search(rf"\b{re.escape(name)}\b", text) is not None


def _reached(
    module: PythonModule, star: Callable[[PythonModule, ast.ImportFrom], Value], depth: int
) -> Iterator[PythonModule | None]:
    """A module and all that its star imports reach; None for one that cannot be read."""
    yield module
    if not is_lazy(module) or depth > _MAX_DEPTH:
        return
    for statement in module.whole.stars:
        source = star(module, statement)
        if isinstance(source, ModuleValue):
            yield from _reached(source.module, star, depth + 1)
        else:
            yield None


def _likely(name: str, names: set[str]) -> list[str]:
    """The names that are about as long, those with the same beginning first."""
    close = [other for other in names if abs(len(other) - len(name)) <= 3 and other[0] == name[0]]
    return sorted(close, key=lambda other: (other[:3] != name[:3], abs(len(other) - len(name)), other))[:_MAX_NAMES]
