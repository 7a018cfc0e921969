"""Static signatures: whether a callable exists and what it takes, read from files and never imported."""

from fgc.signatures.finder import ModuleFinder
from fgc.signatures.lookup import Lookup
from fgc.signatures.signature import Answer, Parameter, ParameterKind, Place, Signature, Verdict, from_json, to_json

__all__ = [
    "Answer",
    "Lookup",
    "ModuleFinder",
    "Parameter",
    "ParameterKind",
    "Place",
    "Signature",
    "Verdict",
    "from_json",
    "to_json",
]
