"""Architectures as llama.cpp has them, and the fields of a configuration that it would compute otherwise.

llama.cpp builds its graph from the name of an architecture: an activation, a pattern of windows or a scale that its
graph has not is computed otherwise there, without a word. So each family names what must be as llama.cpp has it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedConfig

_SILU = ("silu", "swish")
_GELU_TANH = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast")
_NO_ROPE_EVERY = 4  # llama.cpp's SmolLM3
_GEMMA_27B_LAYERS = 46

Problems = Callable[[PreTrainedConfig], Iterator[str]]


def _nothing(_: PreTrainedConfig) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Family:
    """An architecture of transformers as llama.cpp has it. `architecture` is a name of `gguf.MODEL_ARCH`."""

    architecture: str
    activations: tuple[str, ...] = _SILU
    is_permuted: bool = False  # rotary pairs are neighbours there and halves here: rows of q and k change places
    norm_offset: float = 0.0  # added to the weights of norms
    needs_output: bool = False  # tied weights are written twice
    ignores_window: bool = False  # a sliding window is not honoured there
    window_every: int | None = None  # all layers but every so manieth have the window
    writes_windows: bool = False  # the pattern of windows is written
    rope_types: tuple[str, ...] = ("default", "linear", "yarn", "llama3")
    is_rope_partial: bool = False
    is_transposed: bool = False  # linear weights lie as (in, out)
    fixed: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # fields that may have these values only
    problems: Problems = _nothing


def _gemma_scale(config: PreTrainedConfig) -> Iterator[str]:
    if config.num_hidden_layers == _GEMMA_27B_LAYERS:
        expected = config.hidden_size / config.num_attention_heads
    else:
        expected = config.head_dim
    if config.query_pre_attn_scalar != expected:
        yield f"query_pre_attn_scalar is {config.query_pre_attn_scalar}; llama.cpp has {expected:g} for such a model"


def _granite_heads(config: PreTrainedConfig) -> Iterator[str]:
    usual = config.hidden_size // config.num_attention_heads
    if getattr(config, "head_dim", None) not in (None, usual):
        yield f"head_dim is {config.head_dim}; llama.cpp has hidden_size / num_attention_heads = {usual}"


def _smollm3_rope(config: PreTrainedConfig) -> Iterator[str]:
    expected = [int((layer + 1) % _NO_ROPE_EVERY != 0) for layer in range(config.num_hidden_layers)]
    if list(config.no_rope_layers) != expected:
        yield f"no_rope_layers is {config.no_rope_layers}; llama.cpp has no rotation in every {_NO_ROPE_EVERY}th layer"


def _olmoe_heads(config: PreTrainedConfig) -> Iterator[str]:
    if config.num_key_value_heads != config.num_attention_heads:
        yield f"num_key_value_heads is {config.num_key_value_heads}; llama.cpp has as many as heads"


def _gpt_oss_experts(config: PreTrainedConfig) -> Iterator[str]:
    for name, expected in (("swiglu_alpha", 1.702), ("swiglu_limit", 7.0)):
        if getattr(config, name, expected) != expected:
            yield f"{name} is {getattr(config, name)}; llama.cpp has {expected}"


_LLAMA = Family("LLAMA", is_permuted=True)
_GEMMA = {"activations": _GELU_TANH, "norm_offset": 1.0, "rope_types": ("default", "linear")}
FAMILIES: Mapping[str, Family] = {
    "llama": _LLAMA,
    "mistral": Family("LLAMA", is_permuted=True, ignores_window=True),
    "mixtral": Family("LLAMA", is_permuted=True, ignores_window=True),
    "arcee": Family("ARCEE", activations=("relu2",), is_permuted=True),
    "granite": Family("GRANITE", is_permuted=True, problems=_granite_heads),
    "smollm3": Family(
        "SMOLLM3", is_permuted=True, ignores_window=True, problems=_smollm3_rope, fixed={"attention_bias": (False,)}
    ),
    "qwen2": Family("QWEN2", ignores_window=True),
    "qwen3": Family("QWEN3", ignores_window=True),
    "qwen3_moe": Family(
        "QWEN3MOE",
        ignores_window=True,
        fixed={"norm_topk_prob": (True,), "decoder_sparse_step": (1,), "mlp_only_layers": ([], None)},
    ),
    "gemma": Family("GEMMA", **_GEMMA),  # type: ignore[arg-type]  # the fields have their types above
    "gemma2": Family("GEMMA2", **_GEMMA, window_every=2, problems=_gemma_scale),  # type: ignore[arg-type]
    "gemma3_text": Family(
        "GEMMA3",
        **_GEMMA,  # type: ignore[arg-type]
        window_every=6,
        problems=_gemma_scale,
        fixed={"attn_logit_softcapping": (None,), "use_bidirectional_attention": (False, None)},
    ),
    "olmo2": Family("OLMO2", needs_output=True),
    "olmo3": Family("OLMO2", needs_output=True, writes_windows=True),
    "olmoe": Family(
        "OLMOE",
        needs_output=True,
        fixed={"norm_topk_prob": (False,), "clip_qkv": (None,)},
        problems=_olmoe_heads,
    ),
    "phi3": Family(
        "PHI3", ignores_window=True, is_rope_partial=True, rope_types=("default", "longrope")
    ),
    "seed_oss": Family("SEED_OSS"),
    "starcoder2": Family(
        "STARCODER2", activations=_GELU_TANH, ignores_window=True, fixed={"use_bias": (True,)}
    ),
    "gpt_oss": Family("GPT_OSS", needs_output=True, window_every=2, problems=_gpt_oss_experts),
    "gpt2": Family(
        "GPT2",
        activations=_GELU_TANH,
        is_transposed=True,
        fixed={
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "reorder_and_upcast_attn": (False,),
            "add_cross_attention": (False,),
        },
    ),
}  # fmt: skip


def problems_of(config: PreTrainedConfig, family: Family) -> list[str]:
    """Returns what llama.cpp would compute otherwise, a sentence each."""
    found = [
        f"{name} is {getattr(config, name)}; llama.cpp has {' or '.join(map(str, values))}"
        for name, values in family.fixed.items()
        if getattr(config, name, values[0]) not in values
    ]
    activation = next((value for name in _ACTIVATIONS if (value := getattr(config, name, None))), None)
    if activation is not None and activation not in family.activations:
        found.append(f"the activation is {activation}; llama.cpp has {family.activations[0]}")
    return [*found, *_rope_problems(config, family), *_window_problems(config, family), *family.problems(config)]


_ACTIVATIONS = ("hidden_activation", "hidden_act", "activation_function")


def notes_of(config: PreTrainedConfig, family: Family) -> list[str]:
    """Returns what a user should know of the file, a sentence each."""
    window = window_of(config)
    if family.ignores_window and window is not None:
        return [f"llama.cpp knows no sliding window of this architecture: it is the same up to {window} tokens"]
    return []


def window_of(config: PreTrainedConfig) -> int | None:
    """Returns the sliding window, None where no layer has one that is shorter than the context."""
    window = getattr(config, "sliding_window", None)
    if not isinstance(window, int) or getattr(config, "use_sliding_window", None) is False:
        return None
    kinds = getattr(config, "layer_types", None)
    if kinds and "sliding_attention" not in kinds:
        return None
    return window if window < config.max_position_embeddings else None


def rope_of(config: PreTrainedConfig, kind: str = "full_attention") -> dict[str, Any]:
    """Returns the rotary parameters of a kind of layer; empty for a model without."""
    found = getattr(config, "rope_parameters", None) or {}
    return dict(found.get(kind, found) or {})


def _rope_problems(config: PreTrainedConfig, family: Family) -> Iterator[str]:
    rope, local = rope_of(config), rope_of(config, "sliding_attention")
    kind = rope.get("rope_type", "default")
    if rope and kind not in family.rope_types:
        yield f"positions are of the type {kind}; GGUF has {', '.join(family.rope_types)} for this architecture"
    if local and local is not rope and local != rope and local.get("rope_type", "default") != "default":
        yield f"positions of layers with a window are of the type {local['rope_type']}; GGUF has default"
    if rope.get("partial_rotary_factor", 1.0) != 1.0 and not family.is_rope_partial:
        yield f"partial_rotary_factor is {rope['partial_rotary_factor']}; llama.cpp rotates whole heads"


def _window_problems(config: PreTrainedConfig, family: Family) -> Iterator[str]:
    if family.window_every is None or window_of(config) is None:
        return
    every = family.window_every
    kinds = [(layer + 1) % every == 0 for layer in range(config.num_hidden_layers)]
    expected = ["full_attention" if is_full else "sliding_attention" for is_full in kinds]
    if list(config.layer_types) != expected:
        yield f"layer_types is {config.layer_types}; llama.cpp has a window in all layers but every {every}th"
