"""Says what a model is made of and what it costs; whether its serving plans fit it.

What needs torch loads when it is asked for: `fgc serve --help` finds folders without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgc_runtime.models.folder import ModelError
    from fgc_runtime.models.plans import PlanError, plan_problems, validate_vllm_plans
    from fgc_runtime.models.structure import print_model_structure

__all__ = ["ModelError", "PlanError", "plan_problems", "print_model_structure", "validate_vllm_plans"]
_MODULES = {"ModelError": "folder", "print_model_structure": "structure"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"fgc_runtime.models.{_MODULES.get(name, 'plans')}"), name)
