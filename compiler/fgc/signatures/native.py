"""Compiled callables of Python itself to their signatures.

The only place that looks at living objects: those of the interpreter and of its compiled standard library, which run no
code of a user's or of a library's. See docs/internals/decisions/0031-signatures-are-read.md.
"""

import importlib
import inspect
import sys
from typing import Any

from fgc.signatures.signature import Parameter, ParameterKind, Signature

_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: ParameterKind.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: ParameterKind.ANY,
    inspect.Parameter.VAR_POSITIONAL: ParameterKind.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY: ParameterKind.KEYWORD_ONLY,
    inspect.Parameter.VAR_KEYWORD: ParameterKind.VAR_KEYWORD,
}


def native_module(name: str) -> Any:
    """A compiled module of the standard library; None if it cannot be loaded here."""
    assert name.partition(".")[0] in sys.stdlib_module_names, f"{name} is not of the standard library"
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def native_signature(callee: object) -> Signature | None:
    """The signature of a compiled callable; None where Python does not say."""
    try:
        parameters = inspect.signature(callee).parameters.values()  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    return Signature(
        tuple(
            Parameter(
                parameter.name,
                _KINDS[parameter.kind],
                None if parameter.default is inspect.Parameter.empty else repr(parameter.default),
            )
            for parameter in parameters
        )
    )
