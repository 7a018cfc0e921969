"""Static signatures: whether a callable exists and what it takes, read from files that are never imported.

`Lookup.in_module("mypkg", "Adam")` answers for these two files:

    mypkg/__init__.py      from mypkg.optim import *

    mypkg/optim.py         class Optimizer:
                               def __init__(self, params, lr=0.1): ...

                           class Adam(Optimizer):
                               def __init__(self, params, *, eps=1e-8, **kwargs):
                                   super().__init__(params, **kwargs)

1. `finder`: dotted names to files. Python's path gives the place of `mypkg`; nothing is imported.
2. `outline`, `modules`: a file to *bindings*, the statements that may bind each name: a `class`, a `def`, an import.
   The bodies of definitions are parsed only when they are needed.
3. `resolver`: a name to a *value* (`values`), through imports, star imports, aliases and lazy packages. `Adam` of
   `mypkg` is the `ClassValue` in `mypkg/optim.py`. A name with no binding is a `MissingValue`, but only where nothing
   could add it later (no `__getattr__`, no `exec`, no star import of an unreadable module); else it is `UNKNOWN`.
4. `callables`, `constructors`: a value to signatures. `**kwargs` is followed to the call that receives it
   (`handing_on`), here `Optimizer.__init__`, so `Adam` takes `params`, `eps` and `lr`, and refuses `momentum`.
   Dataclasses, attrs, pydantic, named tuples and decorators have a module each.
5. `lookup`: all of it as an `Answer` for the checker and the editor, which can be kept as JSON.

Compiled callables of Python are asked themselves (`native`); otherwise typeshed's stubs answer for what has no file.

Invariant: the answer UNKNOWN is always allowed. A check complains only about what is certain, so a doubt anywhere on
the way (a decorator, a metaclass, a name bound in two branches) ends in UNKNOWN, and the callable is not checked.
"""

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
