"""Tiny folders of every architecture, as llama.cpp can have them, with a tokenizer of bytes."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.convert.conftest import config_of, save_model
from tests.runtime.serve.conftest import CHAT_TEMPLATE, make_tokenizer

NUM_ROWS = 384  # four more than the tokenizer has tokens
_CHANGES: dict[str, dict[str, Any]] = {
    "arcee": {"head_dim": 16, "mlp_bias": False},
    "gemma2": {"query_pre_attn_scalar": 24},
    "gemma3_text": {
        "query_pre_attn_scalar": 24,
        "num_hidden_layers": 6,
        "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    },
    "gpt_oss": {"head_dim": 32},
    "olmo2": {"attention_bias": False, "tie_word_embeddings": True},
    "phi3": {"sliding_window": None},
    "qwen3_moe": {"norm_topk_prob": True},
    "olmoe": {"num_key_value_heads": 4},
    "smollm3": {"attention_bias": False, "num_hidden_layers": 4, "no_rope_layers": [1, 1, 1, 0]},
}


def save_folder(folder: Path, model_type: str, **changes: Any) -> Path:
    usual = {"vocab_size": NUM_ROWS, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    save_model(folder, config_of(model_type, **usual | _CHANGES.get(model_type, {}) | changes))
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("export")
    return cache(lambda model_type: save_folder(root / model_type, model_type))
