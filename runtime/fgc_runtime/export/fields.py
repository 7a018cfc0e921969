"""A configuration to the key-value pairs of a GGUF file (docs/gguf.md of ggml names them)."""

import math
from collections.abc import Iterator
from typing import Any

import gguf
import torch
from torch import Tensor
from transformers import PreTrainedConfig

from fgc_runtime.export.families import Family, rope_of, window_of

Pair = tuple[str, Any]  # a key of gguf.Keys, with {arch} in it, and its value

_LLM, _ATTENTION, _ROPE = gguf.Keys.LLM, gguf.Keys.Attention, gguf.Keys.Rope


def head_dim_of(config: PreTrainedConfig) -> int:
    """Returns the width of a head."""
    known = getattr(config, "head_dim", None)
    return int(known or config.hidden_size // config.num_attention_heads)


def fields_of(config: PreTrainedConfig, family: Family) -> Iterator[Pair]:
    """Yields the pairs of a model; those of its tokenizer are apart."""
    yield _LLM.BLOCK_COUNT, config.num_hidden_layers
    yield _LLM.CONTEXT_LENGTH, config.max_position_embeddings
    yield _LLM.EMBEDDING_LENGTH, config.hidden_size
    yield _LLM.FEED_FORWARD_LENGTH, _feed_forward_length(config)
    yield _LLM.VOCAB_SIZE, config.vocab_size
    yield _ATTENTION.HEAD_COUNT, config.num_attention_heads
    yield _ATTENTION.HEAD_COUNT_KV, getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    yield _ATTENTION.KEY_LENGTH, head_dim_of(config)
    yield _ATTENTION.VALUE_LENGTH, head_dim_of(config)
    yield from _norms(config, family)
    yield from _rope(config, family)
    yield from _windows(config, family)
    yield from _experts(config, family)
    yield from _scales(config, family)


def rope_tensors(config: PreTrainedConfig) -> dict[str, Tensor]:
    """Returns factors of rotary frequencies, by the names that llama.cpp gives them."""
    rope = rope_of(config)
    if rope.get("rope_type") == "llama3":
        return {"rope_freqs.weight": _llama3_factors(rope, head_dim_of(config))}
    if rope.get("rope_type") == "longrope":
        long, short = rope["long_factor"], rope["short_factor"]
        return {"rope_factors_long.weight": torch.tensor(long), "rope_factors_short.weight": torch.tensor(short)}
    return {}


def _feed_forward_length(config: PreTrainedConfig) -> int:
    known = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None)
    return int(known or 4 * config.hidden_size)


def _norms(config: PreTrainedConfig, family: Family) -> Iterator[Pair]:
    for name in ("rms_norm_eps", "layer_norm_epsilon", "norm_epsilon"):
        if (epsilon := getattr(config, name, None)) is not None:
            is_rms = name == "rms_norm_eps"
            yield (_ATTENTION.LAYERNORM_RMS_EPS if is_rms else _ATTENTION.LAYERNORM_EPS), float(epsilon)


def _rope(config: PreTrainedConfig, family: Family) -> Iterator[Pair]:
    rope, local = rope_of(config), rope_of(config, "sliding_attention")
    if not rope:
        return
    rotated = int(head_dim_of(config) * rope.get("partial_rotary_factor", 1.0))
    yield _ROPE.DIMENSION_COUNT, rotated
    yield _ROPE.FREQ_BASE, float(rope["rope_theta"])
    if local and local["rope_theta"] != rope["rope_theta"]:
        yield gguf.Keys.Rope.FREQ_BASE_SWA, float(local["rope_theta"])
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        yield _ROPE.SCALING_TYPE, gguf.RopeScalingType.LINEAR.value
        yield _ROPE.SCALING_FACTOR, float(rope["factor"])
    elif kind == "yarn":
        yield from _yarn(config, rope)
    elif kind == "longrope":
        yield from _longrope(config, rope)


def _yarn(config: PreTrainedConfig, rope: dict[str, Any]) -> Iterator[Pair]:
    yield _ROPE.SCALING_TYPE, gguf.RopeScalingType.YARN.value
    yield _ROPE.SCALING_FACTOR, float(rope["factor"])
    yield (
        _ROPE.SCALING_ORIG_CTX_LEN,
        int(rope.get("original_max_position_embeddings") or config.max_position_embeddings),
    )
    for name, key in (("beta_fast", _ROPE.SCALING_YARN_BETA_FAST), ("beta_slow", _ROPE.SCALING_YARN_BETA_SLOW)):
        if rope.get(name) is not None:
            yield key, float(rope[name])
    if rope.get("attention_factor") is not None:
        # llama.cpp multiplies its own factor in, 1 + 0.1 ln(factor)
        own = 1.0 + 0.1 * math.log(float(rope["factor"]))
        yield _ROPE.SCALING_YARN_ATTN_FACTOR, float(rope["attention_factor"]) / own


def _longrope(config: PreTrainedConfig, rope: dict[str, Any]) -> Iterator[Pair]:
    original = int(rope.get("original_max_position_embeddings") or config.original_max_position_embeddings)
    scale = config.max_position_embeddings / original
    usual = math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0
    yield _ROPE.SCALING_TYPE, gguf.RopeScalingType.LONGROPE.value
    yield _ROPE.SCALING_ORIG_CTX_LEN, original
    yield _ROPE.SCALING_ATTN_FACTOR, float(rope.get("attention_factor") or usual)


def _llama3_factors(rope: dict[str, Any], head_dim: int) -> Tensor:
    """By what each frequency is divided, shape (head_dim / 2,); as `_compute_llama3_parameters` of transformers."""
    frequencies = 1.0 / rope["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    lengths = 2 * math.pi / frequencies
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    original = rope["original_max_position_embeddings"]
    smooth = (original / lengths - low) / (high - low)
    between = 1.0 / ((1 - smooth) / factor + smooth)
    found = torch.where(lengths > original / low, torch.full_like(lengths, factor), between)
    return torch.where(lengths < original / high, torch.ones_like(lengths), found).float()


def _windows(config: PreTrainedConfig, family: Family) -> Iterator[Pair]:
    window = window_of(config)
    if family.ignores_window:
        if family.architecture == "PHI3":
            yield _ATTENTION.SLIDING_WINDOW, 0  # a number that llama.cpp has for models without
        return
    has_windows = family.window_every is not None or family.writes_windows
    if has_windows and window is not None:
        yield _ATTENTION.SLIDING_WINDOW, window
        if family.writes_windows:
            yield _ATTENTION.SLIDING_WINDOW_PATTERN, [kind == "sliding_attention" for kind in config.layer_types]
    elif family.window_every is not None and family.architecture in ("GEMMA2", "GPT_OSS"):
        yield _ATTENTION.SLIDING_WINDOW, config.max_position_embeddings  # llama.cpp wants one, or has its own


def _experts(config: PreTrainedConfig, family: Family) -> Iterator[Pair]:
    count = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    if count is None:
        return
    yield _LLM.EXPERT_COUNT, count
    yield _LLM.EXPERT_USED_COUNT, config.num_experts_per_tok
    if family.architecture in ("QWEN3MOE", "GPT_OSS"):
        width = getattr(config, "moe_intermediate_size", None) or config.intermediate_size
        yield _LLM.EXPERT_FEED_FORWARD_LENGTH, width


def _scales(config: PreTrainedConfig, family: Family) -> Iterator[Pair]:
    if family.architecture == "GRANITE":
        yield _ATTENTION.SCALE, float(config.attention_multiplier)
        yield _LLM.EMBEDDING_SCALE, float(config.embedding_multiplier)
        yield _LLM.RESIDUAL_SCALE, float(config.residual_multiplier)
        yield _LLM.LOGIT_SCALE, float(config.logits_scaling)
    for name, key in (
        ("attn_logit_softcapping", _LLM.ATTN_LOGIT_SOFTCAPPING),
        ("final_logit_softcapping", _LLM.FINAL_LOGIT_SOFTCAPPING),
    ):
        if (cap := getattr(config, name, None)) is not None and family.architecture.startswith("GEMMA"):
            yield key, float(cap)
