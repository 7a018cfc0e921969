"""Static signatures: whether a callable exists and what it takes, read from files and never imported."""

from fgc.signatures.answer import Answer, DefinitionPlace, Verdict, from_json, to_json
from fgc.signatures.finder import ModuleFinder
from fgc.signatures.lookup import Lookup
from fgc.signatures.meaning import UNKNOWN_MEANING, Meaning, MeaningKind
from fgc.signatures.modules import PythonModule
from fgc.signatures.signature import Parameter, ParameterKind, Signature, TypeName
from fgc.signatures.types import native_type

__all__ = [
    "UNKNOWN_MEANING",
    "Answer",
    "DefinitionPlace",
    "Lookup",
    "Meaning",
    "MeaningKind",
    "ModuleFinder",
    "Parameter",
    "ParameterKind",
    "PythonModule",
    "Signature",
    "TypeName",
    "Verdict",
    "from_json",
    "native_type",
    "to_json",
]
