"""The generated package at work: next to transformers' own Llama, saved and loaded, generating, training."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fgc.diagnostics import Outcome, render_text
from fgc.emit.model import Expansion
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
_LOAD_ELSEWHERE = """
import sys, torch
from transformers import AutoModel, AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True)
base = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
assert type(base) is not type(model) and type(base).__name__ == "TinyLlamaModel"
tokens, logits = torch.load(sys.argv[1] + "/expected.pt")
difference = (model(tokens).logits - logits).abs().max().item()
assert difference == 0.0, difference
assert torch.equal(base(tokens).last_hidden_state, model.model(tokens).last_hidden_state)
assert not [name for name in sys.modules if name.split(".")[0] in ("fgc", "fgc_models", "fgc_runtime")]
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def build(
    expand: Callable[..., Outcome[Expansion | None]], llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_logits_are_those_of_transformers_with_the_same_weights(build: Build, implementation: str) -> None:
    model = build()
    llama = reference(model)
    for each in (model, llama):
        each.set_attn_implementation(implementation)
    x = tokens(2, 33)
    padding = torch.ones_like(x)
    padding[0, :5] = 0
    for mask in (None, padding):
        torch.testing.assert_close(
            model(x, attention_mask=mask).logits, llama(x, attention_mask=mask).logits, atol=1e-5, rtol=0.0
        )


def test_llama3_positions_are_those_of_transformers(build: Build) -> None:
    scaling = (
        "        rope_type: llama3\n        factor: 8.0\n        low_freq_factor: 1.0\n        high_freq_factor: 4.0\n"
        "        original_max_position_embeddings: 16\n"
    )
    model = build(("        rope_type: default\n", scaling), (":RotaryEmbedding", ":Llama3RotaryEmbedding"))
    x = tokens(2, 100)
    torch.testing.assert_close(model(x).logits, reference(model)(x).logits, atol=1e-5, rtol=0.0)


def test_loss_is_that_of_transformers_and_takes_the_number_of_items(build: Build) -> None:
    model = build()
    x = tokens(2, 16)
    expected = reference(model)(x, labels=x)
    torch.testing.assert_close(model(x, labels=x).loss, expected.loss)
    torch.testing.assert_close(model(x, labels=x, num_items_in_batch=60).loss, expected.loss * 30 / 60)


def test_no_cache_is_built_while_training_or_for_a_loss(build: Build) -> None:
    model = build()
    x = tokens(1, 8)
    assert model(x).past_key_values is not None
    assert model(x, labels=x).past_key_values is None
    assert model.train()(x).past_key_values is None


def test_packed_sequences_do_not_see_each_other(build: Build) -> None:
    model = build()
    first, second = tokens(1, 7), tokens(1, 20)[:, 7:]
    packed = torch.cat((first, second), dim=1)
    positions = torch.cat((torch.arange(7), torch.arange(13)))[None]
    together = model(packed, position_ids=positions, labels=packed).logits
    alone = torch.cat((model(first).logits, model(second).logits), dim=1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0.0)


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


@pytest.mark.parametrize("is_tied", [False, True])
def test_a_saved_model_loads_where_fgc_is_not_installed(build: Build, tmp_path: Path, is_tied: bool) -> None:
    model = build(tie_word_embeddings=is_tied)
    folder = tmp_path / "saved"
    model.save_pretrained(folder)
    x = tokens(2, 17)
    torch.save((x, model(x).logits), folder / "expected.pt")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"HF_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    blocked = "import sys\nfor name in ('fgc', 'fgc_models', 'fgc_runtime'):\n    sys.modules[name] = None\n"
    check = blocked + _LOAD_ELSEWHERE.replace("in sys.modules if", "in sys.modules if sys.modules[name] and")
    done = subprocess.run(
        [sys.executable, "-I", "-c", check, str(folder)], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.glob("*.py")) == [
        "configuration_tiny_llama.py",
        "modeling_tiny_llama.py",
    ]


def test_tied_weights_are_one_tensor_and_saved_once(build: Build, tmp_path: Path) -> None:
    from safetensors import safe_open

    model = build(tie_word_embeddings=True)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    model.save_pretrained(tmp_path / "tied")
    with safe_open(tmp_path / "tied" / "model.safetensors", "pt") as file:
        assert "lm_head.weight" not in file.keys()  # noqa: SIM118


def test_from_pretrained_computes_what_the_built_model_computes(build: Build, tmp_path: Path) -> None:
    model = build()
    model.save_pretrained(tmp_path / "saved")
    loaded = type(model).from_pretrained(tmp_path / "saved")
    fresh = type(model)(model.config).eval()
    fresh.load_state_dict(model.state_dict(), strict=True)
    x = tokens(2, 40)
    assert torch.equal(loaded(x).logits, fresh(x).logits)
    assert torch.equal(loaded.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq)


def test_generated_tokens_do_not_depend_on_the_cache(build: Build) -> None:
    model = build()
    x = tokens(2, 9)
    mask = torch.ones_like(x)
    options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0, "attention_mask": mask}
    dynamic = model.generate(x, **options)
    assert torch.equal(dynamic, model.generate(x, use_cache=False, **options))
    assert torch.equal(dynamic, model.generate(x, cache_implementation="static", **options))


def test_gradients_do_not_depend_on_checkpointing(build: Build) -> None:
    model = build().train()
    x = tokens(2, 12)
    gradients = []
    for is_checkpointed in (False, True):
        for layer in model.model.layers:
            layer.gradient_checkpointing = is_checkpointed
            layer._gradient_checkpointing_func = lambda function, *a: torch.utils.checkpoint.checkpoint(
                function, *a, use_reentrant=False
            )
        model.zero_grad()
        model(x, labels=x).loss.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_training_steps_lower_the_loss(build: Build) -> None:
    model = build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    x = tokens(4, 16)
    losses = []
    for _ in range(5):
        loss = model(x, labels=x).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5


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
