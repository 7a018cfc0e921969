"""Writes Hugging Face model packages: readable Python from a description in the graph and component files.

    graph (`!meta:fgc:model_package`)
      -> `request`: the parts of the call: name, configuration, model, plans
      -> `describe`, `components`: the model as `values` (constants, fields of the configuration, constructions of
         parts), checked against the signatures of component classes, which are parsed and never imported
      -> `plan`: one plan per generated class: which parameters become values, and which stay
      -> `specialise`, `fold`: each class rewritten by its plan, with decided branches removed
      -> `modeling`, `configuration`: the two files; `expand` puts them into the package

Checks on the described model are separate: `shapes` (sizes that do not fit together), `unread` (misspelt fields),
`module_names` (plans that match no module), `serving` (what vLLM would refuse). `check_model_package` needs neither
libcst nor black, and does not load them.
"""

from typing import TYPE_CHECKING, Any

from fgc.emit.model.description import check_model_package

if TYPE_CHECKING:
    from fgc.emit.model.expand import ModelExpansion, expand_model_package

__all__ = ["ModelExpansion", "check_model_package", "expand_model_package"]


def __getattr__(name: str) -> Any:
    if name not in ("ModelExpansion", "expand_model_package"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fgc.emit.model import expand  # libcst: 0.3 s

    return getattr(expand, name)
