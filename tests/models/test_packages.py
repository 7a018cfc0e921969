"""Every architecture as a package: saved and loaded, generating, training, compiled."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import ContinuousBatchingConfig, GenerationConfig, PreTrainedModel

from .conftest import title_of

Construct = Callable[..., PreTrainedModel]
pytestmark = pytest.mark.slow

_LOAD_ELSEWHERE = """
import json, sys, torch
for name in ("fgc", "fgc_models", "fgc_runtime"):
    sys.modules[name] = None
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
torch.set_num_threads(1)
found = {}
for folder in sys.argv[1:]:
    options = {"trust_remote_code": True, "attn_implementation": "eager"}
    config = AutoConfig.from_pretrained(folder, **options)
    model, base = (kind.from_pretrained(folder, **options) for kind in (AutoModelForCausalLM, AutoModel))
    tokens, logits, _ = torch.load(folder + "/expected.pt")
    with torch.no_grad():
        difference = (model(tokens).logits - logits).abs().max().item()
        is_base = torch.equal(base(tokens).last_hidden_state, model.model(tokens).last_hidden_state)
    names = [type(each).__name__ for each in (config, model, base)]
    found[folder.rpartition("/")[2]] = {"names": names, "difference": difference, "is_base": is_base}
print(json.dumps(found))
"""


def tokens(*shape: int) -> Tensor:
    return torch.randint(3, 256, shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def loaded_elsewhere(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Returns what a process without fgc makes of the saved models."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"HF_HOME": str(tmp_path_factory.mktemp("cache"))}
    command = [sys.executable, "-I", "-c", _LOAD_ELSEWHERE, *map(str, sorted(saved.iterdir()))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_a_saved_model_loads_where_fgc_is_not_installed_and_computes_the_same(
    loaded_elsewhere: dict[str, dict[str, object]], architecture: str
) -> None:
    found = loaded_elsewhere[architecture]
    title = title_of(architecture)
    assert found["names"] == [f"{title}Config", f"{title}ForCausalLM", f"{title}Model"]
    assert found["difference"] == 0.0
    assert found["is_base"]


def test_a_folder_holds_two_python_files_and_tied_weights_once(
    saved: Path, construct: Construct, architecture: str
) -> None:
    folder = saved / architecture
    assert sorted(path.name for path in folder.glob("*.py")) == [
        f"configuration_{architecture}_test.py",
        f"modeling_{architecture}_test.py",
    ]
    model = construct(architecture)
    kept = {name for name, _ in model.named_buffers()} & model.state_dict().keys()
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert set(file.keys()) == {name for name, _ in model.named_parameters()} | kept


def test_from_pretrained_computes_what_the_built_model_computes(
    saved: Path, construct: Construct, architecture: str
) -> None:
    model = construct(architecture, is_spread=True)
    loaded = type(model).from_pretrained(saved / architecture)
    x = tokens(2, 40)
    assert torch.equal(loaded(x).logits, model(x).logits)
    buffers, expected = dict(loaded.named_buffers()), dict(model.named_buffers())
    assert buffers.keys() == expected.keys()
    assert all(torch.equal(buffers[name], expected[name]) for name in buffers)


def test_generated_tokens_do_not_depend_on_the_cache(construct: Construct, architecture: str) -> None:
    model = construct(architecture, is_spread=True)
    x = tokens(2, 24)
    mask = torch.ones_like(x)
    mask[0, :5] = 0  # one prompt is shorter
    options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0, "eos_token_id": -1}
    dynamic = model.generate(x, attention_mask=mask, **options)
    assert dynamic.shape == (2, 36)
    assert torch.equal(dynamic, model.generate(x, attention_mask=mask, use_cache=False, **options))
    assert torch.equal(dynamic, model.generate(x, attention_mask=mask, cache_implementation="static", **options))
    alone = model.generate(x[:1, 5:], attention_mask=mask[:1, 5:], **options)
    assert torch.equal(alone[:, 19:], dynamic[:1, 24:])


def test_continuous_batching_generates_the_same_tokens(construct: Construct, architecture: str) -> None:
    if architecture == "deepseek_v3":
        pytest.skip("transformers' batches hold keys and values of one shape only")
    model = construct(architecture, is_spread=True)
    prompts = [tokens(1, length)[0].tolist() for length in (5, 24, 9)]
    generation = GenerationConfig(max_new_tokens=6, do_sample=False, eos_token_id=-1, pad_token_id=0)
    one_by_one = [model.generate(torch.tensor([prompt]), generation)[0, len(prompt) :].tolist() for prompt in prompts]
    batching = ContinuousBatchingConfig(page_size=16, num_blocks=32, max_batch_tokens=64)
    found = model.generate_batch(prompts, generation, continuous_batching_config=batching, progress_bar=False)
    assert [result.generated_tokens for result in found.values()] == one_by_one


@pytest.mark.parametrize("implementation", ["eager", "sdpa", "flex_attention"])
def test_packed_sequences_do_not_see_each_other(construct: Construct, architecture: str, implementation: str) -> None:
    model = construct(architecture, is_spread=True)
    if implementation == "flex_attention" and not model._supports_flex_attn:
        pytest.skip("needs a mask that is added to the scores")
    if implementation == "flex_attention" and architecture == "gpt_oss":
        pytest.skip("transformers computes sinks by FlexAttention on GPUs only")
    if implementation == "sdpa" and not model._supports_sdpa:
        pytest.skip("caps the scores, or has sinks")
    model.set_attn_implementation(implementation)
    lengths = (17, 33, 2)
    sequences = tokens(1, sum(lengths)).split(lengths, dim=1)
    packed = torch.cat(sequences, dim=1)
    # FlexAttention would be compiled for a minute: as plain Python it computes the same
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        alone = torch.cat([model(sequence).logits for sequence in sequences], dim=1)
        positions = torch.cat([torch.arange(length) for length in lengths])[None]
        ids = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
        everything = torch.ones_like(packed)
        for given in (
            {"sequence_ids": ids},
            {"sequence_ids": ids, "attention_mask": everything},
            {"position_ids": positions, "use_cache": False},
            {"position_ids": positions, "use_cache": False, "attention_mask": everything},
        ):
            torch.testing.assert_close(model(packed, **given).logits, alone, atol=1e-5, rtol=0.0)


def test_no_cache_is_built_while_training_or_for_a_loss(construct: Construct, architecture: str) -> None:
    model = construct(architecture)
    x = tokens(1, 8)
    assert model(x).past_key_values is not None
    assert model(x, labels=x).past_key_values is None
    assert model.train()(x).past_key_values is None


def test_gradients_do_not_depend_on_checkpointing(construct: Construct, architecture: str) -> None:
    model = construct(architecture).train()
    x = tokens(2, 20)
    gradients = []
    for is_checkpointed in (False, True):
        if is_checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            assert model.is_gradient_checkpointing
        model.zero_grad()
        model(x, labels=x).loss.backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    plain, checkpointed = gradients
    for name in plain:
        torch.testing.assert_close(plain[name], checkpointed[name])


def test_every_parameter_has_a_gradient_and_a_few_steps_lower_the_loss(construct: Construct, architecture: str) -> None:
    model = construct(architecture).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    x = tokens(4, 16)
    losses = []
    for _ in range(6):
        loss = model(x, labels=x).loss
        loss.backward()
        assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.2


def test_the_whole_model_is_one_graph(construct: Construct, architecture: str) -> None:
    model = construct(architecture)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    x = tokens(2, 20)
    torch.testing.assert_close(compiled(x, labels=x).loss, model(x, labels=x).loss)
    torch.testing.assert_close(compiled(x, use_cache=False).logits, model(x, use_cache=False).logits)
    torch.compiler.reset()


@pytest.mark.parametrize("architecture", ["mixtral", "gpt_oss"])
def test_a_mixture_can_be_pickled_and_says_its_router_logits_without_labels(
    construct: Construct, architecture: str
) -> None:
    model = construct(architecture)
    x = tokens(2, 12)
    copied = pickle.loads(pickle.dumps(model))
    for found in (model(x), copied(x), model(x, output_router_logits=True), model(x, labels=x)):
        assert len(found.router_logits) == 2
        assert found.aux_loss > 0
    assert model(x, output_router_logits=False).router_logits is None
    base = model.model(x, output_router_logits=True)
    assert all(torch.equal(*pair) for pair in zip(base.router_logits, model(x).router_logits, strict=True))


@pytest.mark.parametrize("architecture", ["deepseek_v3", "glm4_moe"])
def test_routers_without_a_loss_say_their_logits_where_they_are_asked(construct: Construct, architecture: str) -> None:
    model = construct(architecture)
    x = tokens(2, 12)
    assert model(x).router_logits is None
    (logits,) = model(x, output_router_logits=True).router_logits  # the first of two layers is dense
    assert logits.shape == (24, 4)
    model.config.output_router_logits = True
    assert len(model(x, labels=x).router_logits) == 1


def test_an_adapter_that_names_no_modules_goes_beside_queries_and_values(
    construct: Construct, architecture: str
) -> None:
    from peft import IA3Config, LoraConfig, get_peft_model

    if architecture == "deepseek_v3":
        pytest.skip("latent attention has no such matrices, and PEFT no usual place for its adapters")
    adapted = get_peft_model(construct(architecture), LoraConfig(r=2))
    places = {name.split(".lora_")[0].rpartition(".")[2] for name, _ in adapted.named_parameters() if "lora_" in name}
    assert places == {"q_proj", "v_proj"}
    other = get_peft_model(construct(architecture), IA3Config())
    assert any("k_proj.ia3_l" in name for name, _ in other.named_parameters())


def test_a_failed_forward_leaves_no_list_for_the_router_logits_of_others(construct: Construct) -> None:
    model = construct("mixtral")
    x = tokens(2, 12)
    with pytest.raises(IndexError):
        model(x + 1000)
    recorded_logits = sys.modules[type(model).__module__].recorded_logits
    assert recorded_logits.get() is None


def test_reentrant_checkpointing_that_loses_the_balancing_loss_is_refused(construct: Construct) -> None:
    model = construct("mixtral").train()
    x = tokens(2, 12)
    model.gradient_checkpointing_enable({"use_reentrant": True})
    model.enable_input_require_grads()
    with pytest.raises(ValueError, match="reentrant checkpointing keeps the balancing loss from the routers"):
        model(x, labels=x)
