"""Says what a model is made of and what it costs; whether its serving plans fit it."""

from fgc_runtime.models.folder import ModelError
from fgc_runtime.models.plans import PlanError, plan_problems, validate_vllm_plans
from fgc_runtime.models.structure import print_model_structure

__all__ = ["ModelError", "PlanError", "plan_problems", "print_model_structure", "validate_vllm_plans"]
