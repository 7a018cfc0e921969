"""transformers' own tests of models, on the packages of all families: `make test-transformers`; the gate runs a few.

`transformers_tests.py` puts them into a folder, which FGC_TRANSFORMERS_TESTS names.
"""

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import TestCase, skip

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_MAPPING_NAMES

from .conftest import TEMPLATES, title_of, write_package

FOLDER = os.environ.get("FGC_TRANSFORMERS_TESTS")
if FOLDER is None:
    pytest.skip("make test-transformers downloads the tests", allow_module_level=True)

ALL = sorted(path.parent.name for path in (TEMPLATES / "models").glob("*/*-test.yaml"))
FAMILIES = os.environ.get("FGC_FAMILIES", "").split() or ALL
BATCH_SIZE, LENGTH = 3, 7
# what these tests take for granted of transformers' own classes, and is otherwise in packages, on purpose
NOT_OURS = {
    "test_model_rope_scaling_frequencies": "cosines have an axis for heads, and each angle once (test_rotary.py)",
    "test_num_layers_is_small": "sizes for tests have up to four layers, where kinds of layers alternate",
}
NOT_OF_BALANCED = {
    "test_capture_outputs_decorator": "routers add their logits to a list, not to a table: hooks cannot be pickled",
    "test_training_gradient_checkpointing_use_reentrant_true": "refused: it cuts routers off from their loss",
}


class ModelTester:
    """Gives transformers' tests the sizes of a model, and inputs of it."""

    batch_size, seq_length, is_training = BATCH_SIZE, LENGTH, True

    def __init__(self, config_class: Any) -> None:
        config = config_class()
        self.config_class = config_class
        self.hidden_size = config.hidden_size
        self.num_hidden_layers = config.num_hidden_layers
        self.num_attention_heads = config.num_attention_heads

    def get_config(self) -> Any:
        return self.config_class(pad_token_id=0, bos_token_id=1, eos_token_id=2)

    def prepare_config_and_inputs_for_common(self) -> tuple[Any, dict[str, torch.Tensor]]:
        config = self.get_config()
        ids = torch.randint(3, config.vocab_size, (BATCH_SIZE, LENGTH), generator=torch.Generator().manual_seed(0))
        return config, {"input_ids": ids, "attention_mask": torch.ones(BATCH_SIZE, LENGTH, dtype=torch.long).tril()}


def suite(family: str, folder: Path) -> type[TestCase]:
    """transformers' tests for the package of a family's test size."""
    common = import_module("tests_of_transformers.test_modeling_common")
    write_package(f"-- extends 'models/{family}/{family}-test.yaml'\n", folder)
    module, title = import_module(f"{family}_test"), title_of(family)
    config_class, base, causal_lm = (getattr(module, title + end) for end in ("Config", "Model", "ForCausalLM"))

    def set_up(self: Any) -> None:
        self.model_tester = ModelTester(config_class)

    # transformers finds out by the names of classes which of them take labels
    MODEL_MAPPING_NAMES[f"{family}_test"] = base.__name__
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[f"{family}_test"] = causal_lm.__name__
    left = {**NOT_OURS, **(NOT_OF_BALANCED if hasattr(config_class(), "router_aux_loss_coef") else {})}
    members = {"all_model_classes": (base, causal_lm), "setUp": set_up, "__module__": __name__}
    members |= {name: skip(reason)(getattr(common.ModelTesterMixin, name)) for name, reason in left.items()}
    return type(f"Test{title}", (common.GenerationTesterMixin, common.ModelTesterMixin, TestCase), members)


PACKAGES = tempfile.TemporaryDirectory(prefix="packages-")
sys.path[:0] = [FOLDER, PACKAGES.name]
globals().update({f"Test{title_of(family)}": suite(family, Path(PACKAGES.name)) for family in FAMILIES})
