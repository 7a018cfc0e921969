"""What a model costs, against transformers' counts, torch's counter of operations, and what autograd really keeps."""

import io
import json
from pathlib import Path
from typing import Self

import pytest
import torch
from fgc_runtime.models import ModelError, print_model_structure
from fgc_runtime.models.__main__ import main
from fgc_runtime.models.costs import Shape, flops, memory
from fgc_runtime.models.modes import evaluating
from fgc_runtime.models.opening import on_meta, open_on_meta
from fgc_runtime.models.structure import module_lines
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

SIZES = {"vocab_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 64}
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(hidden_size=64, intermediate_size=160, **SIZES),
    "llama tied gqa": LlamaConfig(
        hidden_size=64, intermediate_size=160, num_key_value_heads=2, tie_word_embeddings=True, **SIZES
    ),
    "qwen3": Qwen3Config(hidden_size=64, intermediate_size=160, num_key_value_heads=4, head_dim=32, **SIZES),
    "gpt2": GPT2Config(
        hidden_size=64, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0, activation_function="gelu", **SIZES
    ),
    "deepseek": DeepseekV3Config(
        hidden_size=64,
        intermediate_size=160,
        num_key_value_heads=4,
        q_lora_rank=24,
        kv_lora_rank=20,
        qk_rope_head_dim=8,
        qk_nope_head_dim=12,
        v_head_dim=16,
        first_k_dense_replace=3,  # all layers
        **SIZES,
    ),
    "mixtral": MixtralConfig(hidden_size=64, intermediate_size=96, num_key_value_heads=4, num_local_experts=4, **SIZES),
}
DENSE = [name for name in CONFIGS if name != "mixtral"]


def real(config: PreTrainedConfig, attn_implementation: str = "sdpa") -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attn_implementation)


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_and_weights_are_those_of_the_real_model(name: str) -> None:
    shown, model = on_meta(AutoModelForCausalLM.from_config, CONFIGS[name]), real(CONFIGS[name])
    root = next(iter(module_lines(shown, 1)))
    assert root.total == model.num_parameters()
    costs = memory(
        shown,
        Shape.of(shown.config),
        dtype=torch.float32,
        optimizer="adamw",
        batch_size=1,
        sequence_length=8,
    )
    assert costs.weights == sum(item.nbytes for item in model.parameters())


@pytest.mark.parametrize("name", DENSE)
def test_forward_flops_are_what_torch_counts(name: str) -> None:
    """Exactly: both count matrix products only, and attention in full. (Torch counts no SDPA on CPUs.)"""
    model, batch, length = real(CONFIGS[name], "eager"), 2, 16
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(batch, length, dtype=torch.long), use_cache=False)
    assert flops(model, Shape.of(model.config), length).forward * batch * length == counter.get_total_flops()


def test_training_flops_are_what_torch_counts() -> None:
    """Exactly: two products backward for each one forward."""
    model, batch, length = real(CONFIGS["llama"], "eager"), 2, 16
    with FlopCounterMode(display=False) as counter:
        ids = torch.zeros(batch, length, dtype=torch.long)
        model(ids, labels=ids).loss.backward()
    expected = flops(model, Shape.of(model.config), length).training * batch * length
    assert counter.get_total_flops() == expected


def test_latent_attention_keeps_one_vector_and_one_key_for_a_position() -> None:
    config = CONFIGS["deepseek"]
    cache = real(config)(torch.zeros(2, 4, dtype=torch.long), use_cache=True).past_key_values
    model = on_meta(AutoModelForCausalLM.from_config, config)
    costs = memory(model, Shape.of(config), dtype=torch.float32, optimizer="sgd", batch_size=2, sequence_length=4)
    assert costs.kv_cache == sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


def test_layers_with_and_without_experts_are_told_apart() -> None:
    mixed = DeepseekV3Config(**{**CONFIGS["deepseek"].to_dict(), "first_k_dense_replace": 1, "n_shared_experts": 2})
    assert Shape.of(mixed).feed_forwards == (160, 10 * 2048, 10 * 2048)  # 8 experts of a token and 2 shared ones


def test_of_experts_only_the_chosen_are_multiplied() -> None:
    model = on_meta(AutoModelForCausalLM.from_config, CONFIGS["mixtral"])
    experts = 3 * 3 * 64 * 96  # layers, matrices of an expert
    attention_router_head = 3 * (4 * 64 * 64 + 4 * 64) + 96 * 64
    assert flops(model, Shape.of(model.config), 1).matmul_weights == 2 * experts + attention_router_head


@pytest.mark.parametrize("name", DENSE)
def test_activations_are_what_autograd_keeps(name: str) -> None:
    """Within 5 %, for the means and inverse norms that every norm keeps.

    On a CPU, RMSNorm is no kernel of its own and keeps its normalised input too: that is added. So are the scores that
    SDPA keeps there if keys and values differ in width.
    """
    model, batch, length = real(CONFIGS[name]).train(), 2, 64
    parameters = {item.untyped_storage().data_ptr() for item in model.parameters()}
    kept: dict[int, int] = {}
    normalised: list[int] = []
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.register_forward_hook(lambda module, given, result: normalised.append(result.nbytes))

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters and tensor.is_floating_point():
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.zeros(batch, length, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(ids, labels=ids, use_cache=False)
    kept[output.logits.untyped_storage().data_ptr()] = output.logits.untyped_storage().nbytes()
    costs = memory(
        model, Shape.of(model.config), dtype=torch.float32, optimizer="sgd", batch_size=batch, sequence_length=length
    )
    shape = Shape.of(model.config)
    is_fused = shape.head_dim == shape.value_head_dim
    scores = 0 if is_fused else shape.num_layers * batch * shape.num_heads * length * length * 4
    assert sum(kept.values()) == pytest.approx(costs.activations + sum(normalised) + scores, rel=0.05)


def test_the_cache_is_what_transformers_allocates_and_windows_bound_it() -> None:
    config = MistralConfig(hidden_size=64, intermediate_size=96, num_key_value_heads=2, sliding_window=8, **SIZES)
    model = on_meta(AutoModelForCausalLM.from_config, config)
    shape = Shape.of(config)
    short, long = (
        memory(model, shape, dtype=torch.float32, optimizer="sgd", batch_size=2, sequence_length=length)
        for length in (4, 40)
    )
    full = real(MistralConfig(**{**config.to_dict(), "sliding_window": None}))
    cache = full(torch.zeros(2, 4, dtype=torch.long), use_cache=True).past_key_values
    assert short.kv_cache == sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert long.kv_cache == 2 * short.kv_cache  # 8 positions of 40


@pytest.mark.parametrize(("optimizer", "states"), [("adamw", 2), ("sgd-momentum", 1), ("sgd", 0)])
def test_optimizer_states_are_what_torch_allocates(optimizer: str, states: int) -> None:
    model = real(CONFIGS["llama"])
    made = (
        torch.optim.AdamW(model.parameters())
        if states == 2
        else torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9 * states)
    )
    ids = torch.zeros(1, 4, dtype=torch.long)
    model(ids, labels=ids).loss.backward()
    made.step()
    state = made.state_dict()["state"].values()
    held = sum(
        item.nbytes for entry in state for item in entry.values() if isinstance(item, torch.Tensor) and item.dim()
    )
    costs = memory(
        model, Shape.of(model.config), dtype=torch.float32, optimizer=optimizer, batch_size=1, sequence_length=4
    )
    assert costs.optimizer == held


def test_equal_layers_stand_in_one_line_with_full_names_and_shapes() -> None:
    printed = io.StringIO()
    print_model_structure(on_meta(AutoModelForCausalLM.from_config, CONFIGS["llama"]), max_depth=4, file=printed)
    lines = {line.split()[0]: line for line in printed.getvalue().splitlines()}
    assert list(lines)[:4] == ["(model)", "model", "model.embed_tokens", "model.layers"]
    assert "weight[64, 64]" in lines["model.layers.0.self_attn"] or "model.layers.0-2" in lines
    assert not any(name.startswith("model.layers.1") for name in lines)


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """The configuration of a 70B model, 140 GB of weights in bfloat16."""
    config = {
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


def test_a_model_of_70b_is_shown_without_weights(huge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(huge), "--format", "json", "--sequence-length", "8192"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["parameters"]["total"] == 70_553_706_496
    assert numbers["memory_bytes"]["weights"] == 2 * 70_553_706_496
    assert numbers["memory_bytes"]["kv_cache_per_token"] == 2 * 80 * 8 * 128 * 2


def test_fields_that_follow_from_a_changed_one_follow(huge: Path) -> None:
    model = open_on_meta(huge, {"hidden_size": 4096, "num_hidden_layers": 2})
    assert model.config.head_dim == 64
    assert model.num_parameters() < 2e9


def test_an_unknown_field_is_named(huge: Path) -> None:
    with pytest.raises(ModelError, match=r"LlamaConfig has no field `layers`; its fields: .*num_hidden_layers"):
        open_on_meta(huge, {"layers": 2})


def test_code_in_a_folder_that_fails_is_the_folders_mistake(tmp_path: Path) -> None:
    package = tmp_path / "broken_model"
    package.mkdir()
    (package / "configuration_broken_model.py").write_text("", encoding="utf-8")
    (package / "modeling_broken_model.py").write_text("", encoding="utf-8")
    (package / "__init__.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(ModelError, match="broken_model cannot be imported: ZeroDivisionError"):
        open_on_meta(package, trust_remote_code=True)


class Merging(nn.Dropout):
    """Merges an adapter into its weights while it evaluates."""

    is_merged = False

    def train(self, mode: bool = True) -> Self:
        self.is_merged = not mode
        return super().train(mode)


def test_an_evaluation_ends_for_each_part_as_it_began() -> None:
    model = nn.Sequential(Merging(), Merging(), nn.Sequential(Merging()))
    model[1].train(False)
    model[2].training = False
    before = [(part.training, getattr(part, "is_merged", None)) for part in model.modules()]
    with evaluating(model):
        assert not any(part.training for part in model.modules())
        assert all(part.is_merged for part in model.modules() if isinstance(part, Merging))
    assert before == [(part.training, getattr(part, "is_merged", None)) for part in model.modules()]
