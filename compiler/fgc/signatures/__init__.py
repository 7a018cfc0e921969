"""Static signatures: whether a callable exists and what it takes, read from files and never imported."""

from fgc.signatures.finder import ModuleFinder
from fgc.signatures.lookup import Lookup
from fgc.signatures.modules import PythonModule
from fgc.signatures.signature import (
    Answer,
    Parameter,
    ParameterKind,
    Place,
    Signature,
    TypeName,
    Verdict,
    from_json,
    to_json,
)
from fgc.signatures.types import native_type

__all__ = [
    "Answer",
    "Lookup",
    "ModuleFinder",
    "Parameter",
    "ParameterKind",
    "Place",
    "PythonModule",
    "Signature",
    "TypeName",
    "Verdict",
    "from_json",
    "native_type",
    "to_json",
]
