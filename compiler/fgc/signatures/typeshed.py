"""Reads what typeshed says of callables that do not say it themselves: those of C, and those chosen at run time.

The stubs are those that the package `typeshed_client` carries; they are read like any other file. Asked only where
neither a file of Python nor the living object knows more, for stubs describe what is meant and not what is installed.
"""

import sys

from fgc.signatures.callables import Callables
from fgc.signatures.finder import ModuleFinder
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import Signature
from fgc.signatures.values import ClassValue, FunctionValue

_STRICTER = {("itertools", "zip_longest")}  # the stub refuses a call without arguments, which Python runs


class Typeshed:
    """Signatures of the standard library by module and name; none where the stubs do not know."""

    def __init__(self, finder: ModuleFinder) -> None:
        self._resolver = Resolver(finder)
        self._callables = Callables(self._resolver)

    def signatures(self, module: str, attribute: str) -> tuple[Signature, ...]:
        """Returns how `module:attribute` is called, in this version of Python and on this platform."""
        if (module, attribute) in _STRICTER:
            return ()
        value = self._resolver.module(module)
        for name in attribute.split("."):
            value = self._resolver.attribute(value, name)
        return self._callables.signatures(value) if isinstance(value, ClassValue | FunctionValue) else ()

    def of_object(self, value: object) -> tuple[Signature, ...]:
        """Returns how a living object of the standard library is called, found by the names that it has there."""
        owner = getattr(value, "__self__", None)
        module = getattr(value, "__module__", None) or getattr(owner, "__module__", None)
        name = getattr(value, "__qualname__", "")
        if not isinstance(module, str) or module.partition(".")[0] not in sys.stdlib_module_names:
            return ()
        return self.signatures(module, name) if isinstance(name, str) and name.replace(".", "").isidentifier() else ()
