"""The generated package at work, where the description differs from what tests/models proves for every architecture."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fgc.diagnostics import Outcome, render_text
from fgc.emit.model import ModelExpansion
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

Build = Callable[..., PreTrainedModel]
_SHARED_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rms_norm_eps",
    "max_position_embeddings",
    "rope_parameters",
    "tie_word_embeddings",
)
pytestmark = pytest.mark.slow


@pytest.fixture
def build(
    expand: Callable[..., Outcome[ModelExpansion | None]], llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Build]:
    """Generate the package after replacing texts of its description, import it, construct the model."""

    def run(*replacements: tuple[str, str], files: dict[str, str] | None = None, **fields: object) -> PreTrainedModel:
        text = llama
        for old, new in replacements:
            assert old in text, f"{old} is not in the description"
            text = text.replace(old, new, 1)
        outcome = expand(text, files, ("/own",))
        assert outcome.value is not None, render_text(outcome.diagnostics)
        for name, content in outcome.value.files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        torch.manual_seed(0)
        package = __import__("tiny_llama")
        model = package.TinyLlamaForCausalLM(package.TinyLlamaConfig(**fields))
        assert isinstance(model, PreTrainedModel)
        return model.eval()

    yield run
    for name in [name for name in sys.modules if name.split(".")[0] == "tiny_llama"]:
        del sys.modules[name]


def reference(model: PreTrainedModel) -> LlamaForCausalLM:
    """transformers' Llama with the same weights."""
    llama = LlamaForCausalLM(LlamaConfig(**{name: getattr(model.config, name) for name in _SHARED_FIELDS})).eval()
    llama.load_state_dict(model.state_dict(), strict=True)
    return llama


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(3, 128, shape, generator=torch.Generator().manual_seed(1))


def test_llama3_positions_are_those_of_transformers(build: Build) -> None:
    scaling = (
        "        rope_type: llama3\n        factor: 8.0\n        low_freq_factor: 1.0\n        high_freq_factor: 4.0\n"
        "        original_max_position_embeddings: 16\n"
    )
    model = build(("        rope_type: default\n", scaling), (":RotaryEmbedding", ":Llama3RotaryEmbedding"))
    x = tokens(2, 100)
    torch.testing.assert_close(model(x).logits, reference(model)(x).logits, atol=1e-5, rtol=0.0)


def test_fields_of_an_older_configuration_make_up_rope_parameters_as_in_transformers(build: Build) -> None:
    theirs = LlamaConfig(rope_theta=100.0).rope_parameters
    assert build(rope_theta=100.0).config.rope_parameters == theirs == {"rope_type": "default", "rope_theta": 100.0}
    config_class = build().config_class
    assert config_class is not None
    assert config_class().rope_parameters == {"rope_type": "default", "rope_theta": 10000.0}
    scaled = {"type": "linear", "factor": 4.0}
    ours, llama = (kind(rope_theta=5e5, rope_scaling=dict(scaled)) for kind in (config_class, LlamaConfig))
    assert ours.rope_parameters == llama.rope_parameters
    given = {"rope_type": "default", "rope_theta": 10000.0}
    ours, llama = (kind(rope_theta=5e5, rope_parameters=dict(given)) for kind in (config_class, LlamaConfig))
    assert ours.rope_parameters == llama.rope_parameters == given


def test_only_the_asked_for_logits_are_computed(build: Build) -> None:
    model = build()
    x = tokens(2, 9)
    torch.testing.assert_close(model(x, logits_to_keep=2).logits, model(x).logits[:, -2:])


def test_hidden_states_and_attentions_are_recorded(build: Build) -> None:
    model = build()
    model.set_attn_implementation("eager")
    output = model(tokens(1, 5), output_hidden_states=True, output_attentions=True)
    assert [tuple(state.shape) for state in output.hidden_states] == [(1, 5, 64)] * 3
    assert [tuple(weights.shape) for weights in output.attentions] == [(1, 4, 5, 5)] * 2


def test_weights_begin_with_the_configured_spread_and_norms_with_one(build: Build) -> None:
    model = build(initializer_range=0.05)
    assert model.lm_head.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert model.model.layers[0].mlp.up_proj.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert torch.equal(model.model.norm.weight, torch.ones(64))


def test_query_and_key_norms_work_and_change_the_model(build: Build) -> None:
    norm = "    qk_norm: !partial:.norms:RMSNorm\n        hidden_size: !var head_dim\n        eps: !var rms_norm_eps\n"
    model = build(("    bias: false\n.define: &feed", norm + "    bias: false\n.define: &feed"))
    assert tuple(model.model.layers[0].self_attn.q_norm.weight.shape) == (16,)
    assert model(tokens(1, 5)).logits.isfinite().all()


def test_a_wrongly_typed_field_is_refused_by_the_configuration(build: Build) -> None:
    with pytest.raises(Exception, match="hidden_size"):
        build(hidden_size="64")


def test_heads_that_cannot_be_shared_are_refused_with_their_numbers(build: Build) -> None:
    with pytest.raises(ValueError, match="3 kv heads do not divide 4 heads"):
        build(num_key_value_heads=3)
