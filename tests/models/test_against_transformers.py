"""Every architecture next to transformers' own class with the same weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from torch import Tensor
from transformers import (
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    Glm4MoeConfig,
    Glm4MoeForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

Construct = Callable[..., PreTrainedModel]
_DROPS_SOFT_CAPS = Version(transformers.__version__) < Version("5.23")  # an older Gemma 2 takes sdpa, which has none
_CLASSES: dict[str, tuple[Any, Any]] = {
    "deepseek_v3": (DeepseekV3Config, DeepseekV3ForCausalLM),
    "gemma": (GemmaConfig, GemmaForCausalLM),
    "gemma2": (Gemma2Config, Gemma2ForCausalLM),
    "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM),
    "glm4_moe": (Glm4MoeConfig, Glm4MoeForCausalLM),
    "gpt2": (GPT2Config, GPT2LMHeadModel),
    "gpt_oss": (GptOssConfig, GptOssForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "mixtral": (MixtralConfig, MixtralForCausalLM),
    "olmo2": (Olmo2Config, Olmo2ForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
_EXPERT_FIELDS = {"num_local_experts": "n_routed_experts"}
_THEIR_FIELDS = {
    "deepseek_v3": _EXPERT_FIELDS,
    "glm4_moe": _EXPERT_FIELDS,
    "gpt2": {"attention_dropout": "attn_pdrop", "residual_dropout": "resid_pdrop", "embedding_dropout": "embd_pdrop"},
}
_GPT2_NAMES = (
    ("model.embed_tokens", "transformer.wte"),
    ("model.embed_positions", "transformer.wpe"),
    ("model.norm", "transformer.ln_f"),
    ("model.layers", "transformer.h"),
    ("input_layernorm", "ln_1"),
    ("post_attention_layernorm", "ln_2"),
    ("self_attn.o_proj", "attn.c_proj"),
    ("mlp.up_proj", "mlp.c_fc"),
    ("mlp.down_proj", "mlp.c_proj"),
)
pytestmark = pytest.mark.slow


def gpt2_weights(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """GPT-2's own names; its matrices are (in, out), its query, key and value one matrix."""
    theirs: dict[str, Tensor] = {}
    for name, value in ours.items():
        is_transposed = name.endswith("_proj.weight")
        for old, new in _GPT2_NAMES:
            name = name.replace(old, new)
        theirs[name] = value.T if is_transposed else value
    for name in [name for name in theirs if "self_attn.q_proj" in name]:
        parts = [theirs.pop(name.replace("q_proj", part)) for part in ("q_proj", "k_proj", "v_proj")]
        theirs[name.replace("self_attn.q_proj", "attn.c_attn")] = torch.cat(parts, dim=-1)
    return theirs


def reference(architecture: str, model: PreTrainedModel) -> PreTrainedModel:
    """transformers' model of the same shape, with the same weights."""
    config_class, model_class = _CLASSES[architecture]
    known = set(config_class().to_dict()) | {"hidden_size", "num_hidden_layers", "num_attention_heads"}
    names = _THEIR_FIELDS.get(architecture, {})
    fields = {names.get(name, name): value for name, value in model.config.to_dict().items()}
    shared = {name: value for name, value in fields.items() if name in known - {"architectures", "auto_map"}}
    if architecture == "gpt2":
        shared |= {"n_inner": model.config.intermediate_size, "n_positions": model.config.max_position_embeddings}
    theirs = model_class(config_class(**shared)).eval()
    weights = dict(model.state_dict())
    missing, unexpected = theirs.load_state_dict(gpt2_weights(weights) if architecture == "gpt2" else weights)
    assert not missing and not unexpected
    return theirs  # type: ignore[no-any-return]


def tokens(*shape: int) -> Tensor:
    return torch.randint(3, 256, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", sorted(_CLASSES))
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_logits_are_those_of_transformers(construct: Construct, architecture: str, implementation: str) -> None:
    model = construct(architecture, is_spread=True)
    theirs = reference(architecture, model)
    if implementation == "sdpa" and not model._supports_sdpa:
        assert not theirs._supports_sdpa or _DROPS_SOFT_CAPS
        pytest.skip("soft-capped scores and sinks rule out sdpa")
    for each in (model, theirs):
        each.set_attn_implementation(implementation)
    x = tokens(2, 50)
    padding = torch.ones_like(x)
    padding[0, :5] = 0
    for mask in (None, padding):
        found, expected = (each(x, attention_mask=mask).logits for each in (model, theirs))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert expected.std() > 0.1


@pytest.mark.parametrize("architecture", sorted(_CLASSES))
def test_loss_and_gradients_are_those_of_transformers(construct: Construct, architecture: str) -> None:
    model = construct(architecture, is_spread=True)
    theirs = reference(architecture, model)
    theirs.set_attn_implementation(model.config._attn_implementation)  # the defaults may differ
    x = tokens(2, 40)
    # transformers adds Mixtral's load-balancing loss in full to every part of a batch
    num_items = None if architecture in ("mixtral", "gpt_oss") else 60
    losses = [each(x, labels=x, num_items_in_batch=num_items).loss for each in (model, theirs)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(
        model.get_input_embeddings().weight.grad, theirs.get_input_embeddings().weight.grad, atol=1e-5, rtol=1e-4
    )
