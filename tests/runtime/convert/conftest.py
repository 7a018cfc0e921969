"""Tiny models of every architecture, and conversions without a process of their own."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc.cli.conversion_tables import TemplateFolder, read_tables
from fgc.cli.converting import package_for
from fgc_runtime.convert.conversion import Job, convert
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

_COMMON = {"vocab_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}
_WIDE = {**_COMMON, "hidden_size": 64, "intermediate_size": 96, "num_key_value_heads": 2}
_EXPERTS = {"num_experts_per_tok": 2, "output_router_logits": True}
_KINDS = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
_GROUPED = {"num_hidden_layers": 3, "num_experts_per_tok": 2, "n_routed_experts": 8, "n_group": 4, "topk_group": 2}
FIELDS: dict[str, dict[str, Any]] = {
    "arcee": {**_WIDE, "head_dim": 24, "mlp_bias": True},
    "deepseek_v3": {
        **_WIDE,
        **_GROUPED,
        "num_key_value_heads": 4,
        "moe_intermediate_size": 48,
        "q_lora_rank": 24,
        "kv_lora_rank": 20,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 12,
        "v_head_dim": 16,
        "first_k_dense_replace": 1,
        "num_nextn_predict_layers": 0,
    },
    "gemma": {**_WIDE, "num_key_value_heads": 1, "head_dim": 24},
    "gemma2": {**_WIDE, **_KINDS, "head_dim": 24, "query_pre_attn_scalar": 20},
    "gemma3_text": {
        **_WIDE,
        **_KINDS,
        "head_dim": 24,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
        },
    },
    "glm4_moe": {
        **_WIDE,
        **_GROUPED,
        "moe_intermediate_size": 48,
        "head_dim": 32,
        "use_qk_norm": True,
        "attention_bias": True,
        "routed_scaling_factor": 2.5,
        "num_nextn_predict_layers": 0,
    },
    "gpt2": {**_COMMON, "hidden_size": 64, "bos_token_id": 0, "eos_token_id": 0},
    "gpt_oss": {**_WIDE, **_EXPERTS, **_KINDS, "num_local_experts": 4, "head_dim": 24},
    "granite": {
        **_WIDE,
        "embedding_multiplier": 3.0,
        "residual_multiplier": 0.5,
        "attention_multiplier": 0.1,
        "logits_scaling": 4.0,
    },
    "llama": {**_WIDE, "attention_bias": True, "eos_token_id": [2, 5], "rms_norm_eps": 1e-5},
    "ministral": {**_WIDE, **_KINDS, "head_dim": 24},
    "mistral": {**_WIDE, "sliding_window": 16, "head_dim": 32},
    "mixtral": {**_WIDE, **_EXPERTS, "head_dim": 16, "num_local_experts": 4},
    "olmo2": {**_WIDE, "attention_bias": True},
    "olmo3": {**_WIDE, **_KINDS},
    "olmoe": {**_WIDE, **_EXPERTS, "num_experts": 4},
    "phi3": {
        **_WIDE,
        "sliding_window": 16,
        "resid_pdrop": 0.1,
        "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75},
    },
    "qwen2": {**_WIDE, "tie_word_embeddings": True, "eos_token_id": [2, 5]},
    "qwen3": {**_WIDE, "head_dim": 24, "tie_word_embeddings": True, "eos_token_id": 2},
    "qwen3_moe": {**_WIDE, **_EXPERTS, "num_local_experts": 4, "moe_intermediate_size": 48, "head_dim": 24},
    "seed_oss": {**_WIDE, "head_dim": 24},
    "smollm3": {**_WIDE, "no_rope_layers": [1, 0], "pad_token_id": 0, "attention_bias": True},
    "starcoder2": {**_WIDE, "sliding_window": 16, "bos_token_id": 0, "eos_token_id": 0},
}
Convert = Callable[..., int]


def config_of(model_type: str, **changes: Any) -> PreTrainedConfig:
    return AutoConfig.for_model(model_type, **{**FIELDS[model_type], **changes})


def save_model(folder: Path, config: PreTrainedConfig, **options: Any) -> Path:
    """A model whose weights are all random, norms and biases of all kinds too, so that no two can be mixed up."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for tensor in model.state_dict().values():
        torch.nn.init.normal_(tensor, std=0.2)
    model.save_pretrained(folder, **options)
    return folder


def save_tokenizer(folder: Path) -> None:
    vocabulary = {"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>").save_pretrained(folder)


@pytest.fixture(scope="session")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model of an architecture; not to be written to."""
    root = tmp_path_factory.mktemp("hugging_face")
    return cache(lambda model_type: save_model(root / model_type, config_of(model_type)))


class InProcess:
    """The compiler's side of a conversion, answering at once; it builds each package once."""

    def __init__(self, stack: ExitStack, packages: dict[str, dict[str, Any]]) -> None:
        self.job: Job | None = None
        self.own: TemplateFolder | None = None
        self._stack = stack
        self._packages = packages

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        job = self.job
        assert job is not None, "a job has begun"
        key = json.dumps([job.tables[0].model_type, job.name, message])
        if key not in self._packages:
            answer = package_for(
                self._stack, read_tables(self.own)[job.tables[0].model_type], job.name, job.source, message, self.own
            )
            assert answer is not None, "the template has findings"
            self._packages[key] = answer
        return self._packages[key]


@pytest.fixture(scope="session")
def compiler() -> Iterator[InProcess]:
    with ExitStack() as stack:
        yield InProcess(stack, {})


def job_of(source: Path, target: Path | None, **options: Any) -> Job:
    tables = read_tables()
    model_type = json.loads((source / "config.json").read_text(encoding="utf-8"))["model_type"]
    is_to_package = model_type in tables
    candidates = list(tables.values())
    return Job.of(
        {
            "source": str(source),
            "target": str(target) if target is not None else None,
            "tables": [tables[model_type]] if is_to_package else candidates,
            "is_to_package": is_to_package,
            "name": (target or source).name,
            "dtype": None,
            "max_shard_bytes": 10**9,
            "is_dry_run": False,
            "is_explained": False,
            "is_verified": True,
            "ignore": [],
            "trust_remote_code": None,
            **options,
        }
    )


@pytest.fixture
def run_conversion(compiler: InProcess) -> Convert:
    """Converts a folder; options are those of the message."""

    def run(source: Path, target: Path | None, **options: Any) -> int:
        compiler.job = job_of(source, target, **options)
        return convert(compiler.job, compiler)  # type: ignore[arg-type]  # it asks alike

    return run
