"""LoRA through PEFT: what is saved loads elsewhere, what is resumed is the same, what does not fit is refused."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from fgc_runtime.checkpoint.model import publish_model
from fgc_runtime.finetune import AdapterMismatch, adapter_state, fine_tuned, freeze, load_base, without_adapter
from fgc_runtime.finetune.adapters import require_base
from fgc_runtime.trainers import FSDP2, Pipeline, ResumeRefused, Strategy, Trainer, TrainingArguments
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from .conftest import checkpoint_of, save_base

IDS = torch.arange(3, 43)[None]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits  # type: ignore[no-any-return]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def test_what_is_trained_loads_with_peft_and_gives_the_same_logits(base: Path, train: Callable[..., Trainer]) -> None:
    trainer = train(base)
    output = trainer.output_dir
    assert not (output / "model.safetensors").exists() and not (output / "config.json").exists()
    plain = AutoModelForCausalLM.from_pretrained(base)
    before = logits(plain)
    loaded = PeftModel.from_pretrained(plain, output)
    assert torch.equal(logits(loaded), logits(trainer.model))
    assert (logits(loaded) - before).abs().max() > 1e-2
    with without_adapter(trainer.model):
        assert torch.equal(logits(trainer.model), before)
    settings = json.loads((output / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(base.resolve())
    assert settings["inference_mode"] and settings["task_type"] == "CAUSAL_LM"


def test_only_the_adapter_is_trained_and_kept_in_checkpoints(base: Path, train: Callable[..., Trainer]) -> None:
    trainer = train(base)
    assert all("lora_" in name for name in adapter_state(trainer.model))
    tensors = json.loads((checkpoint_of(trainer.output_dir, 4) / "state/tensors.json").read_text())["tensors"]
    of_model = [name for name in tensors if name.startswith("model.")]
    assert of_model and all("lora_" in name for name in of_model)
    assert (checkpoint_of(trainer.output_dir, 4) / "adapter_model.safetensors").is_file()


def test_a_resumed_adapter_is_that_of_the_straight_run(base: Path, train: Callable[..., Trainer]) -> None:
    straight = train(base)
    resumed = train(base, "again", resume_from_checkpoint=str(checkpoint_of(straight.output_dir, 2)))
    expected, found = weights(straight.output_dir), weights(resumed.output_dir)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_another_rank_is_no_resume(base: Path, train: Callable[..., Trainer]) -> None:
    folder = checkpoint_of(train(base).output_dir, 2)
    with pytest.raises(ResumeRefused, match=r"model\.adapter\.r was 4 and is 8"):
        train(base, "other", resume_from_checkpoint=str(folder), adapter=partial(LoraConfig, r=8))


def test_training_goes_on_from_an_adapters_folder(base: Path, train: Callable[..., Trainer]) -> None:
    first = train(base)
    model = fine_tuned(partial(load_base, str(base)), adapter=str(first.output_dir))
    assert torch.equal(logits(model), logits(first.model))
    assert all(weight.requires_grad for weight in adapter_state(model).values()) and adapter_state(model)


def test_adapters_beside_half_precision_are_float32(tmp_path: Path) -> None:
    half = save_base(tmp_path / "half", dtype=torch.bfloat16)
    model = fine_tuned(partial(load_base, str(half)), adapter=partial(LoraConfig, r=4))
    assert {weight.dtype for weight in adapter_state(model).values()} == {torch.float32}
    assert model.model.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16
    logits(model)


def test_gradient_checkpointing_changes_no_gradient(base: Path, train: Callable[..., Trainer]) -> None:
    straight = train(base, save_strategy="no")
    checkpointed = train(base, "checkpointed", save_strategy="no", gradient_checkpointing=True)
    for name, weight in weights(straight.output_dir).items():
        torch.testing.assert_close(weights(checkpointed.output_dir)[name], weight, rtol=0, atol=1e-6)


def test_modules_to_save_come_back_after_the_base_was_asked(base: Path) -> None:
    model = fine_tuned(partial(load_base, str(base)), adapter=partial(LoraConfig, r=4, modules_to_save=["lm_head"]))
    with torch.no_grad():
        for name, weight in adapter_state(model).items():
            weight.add_(0.1 * torch.ones_like(weight) * ("lm_head" in name or "lora_B" in name))
    trained = adapter_state(model).keys()
    adapted = logits(model)
    with without_adapter(model):
        assert torch.equal(logits(model), logits(AutoModelForCausalLM.from_pretrained(base)))
    assert torch.equal(logits(model), adapted)
    assert adapter_state(model).keys() == trained


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (partial(LoraConfig, target_modules=["q_proj", "v_porj"]), r"no module 'v_porj'; did you mean v_proj"),
        (partial(LoraConfig, modules_to_save=["lm_haed"]), r"modules_to_save: .* did you mean lm_head"),
        (partial(LoraConfig, init_lora_weights="pissa"), r"init_lora_weights \('pissa'\) changes the base's weights"),
    ],
)
def test_wrong_settings_are_told_with_what_is_close(base: Path, adapter: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fine_tuned(partial(load_base, str(base)), adapter=adapter)


def test_all_linear_layers_of_an_unknown_type_get_an_adapter(base: Path) -> None:
    model = load_base(str(base))
    model.config.model_type = "my_llama"
    adapted = fine_tuned(model, adapter=LoraConfig(r=2))
    assert {name.split(".")[-4] for name in adapter_state(adapted)} == {
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    }


def test_a_base_without_a_place_is_refused() -> None:
    model = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    with pytest.raises(ValueError, match="save it first"):
        fine_tuned(model, adapter=LoraConfig(r=2))


def test_an_adapter_of_another_base_is_refused(tmp_path: Path, base: Path, train: Callable[..., Trainer]) -> None:
    output = train(base).output_dir
    same_shapes = save_base(tmp_path / "other", seed=1)
    with pytest.raises(AdapterMismatch, match=r"was trained on .*/base, and .*/other has other weights"):
        fine_tuned(partial(load_base, str(same_shapes)), adapter=str(output))
    wider = save_base(tmp_path / "wider", intermediate_size=96, num_key_value_heads=2)
    with pytest.raises(AdapterMismatch) as caught:
        fine_tuned(partial(load_base, str(wider)), adapter=str(output))
    told = str(caught.value)
    assert "model.layers.1.mlp.down_proj: the model has 96 inputs, the adapter 64" in told
    assert "model.layers.0.self_attn.k_proj: the model has 16 outputs, the adapter 32" in told


def test_a_model_in_the_place_of_an_adapter_leaves_nothing_of_it(base: Path, train: Callable[..., Trainer]) -> None:
    """transformers would load an adapter that lies beside a whole model onto it, without a word."""
    output = train(base).output_dir
    publish_model(AutoModelForCausalLM.from_pretrained(base), None, output)
    assert not (output / "adapter_config.json").exists()
    assert torch.equal(
        logits(AutoModelForCausalLM.from_pretrained(output)), logits(AutoModelForCausalLM.from_pretrained(base))
    )
    train(base)
    assert not (output / "config.json").exists() and not (output / "model.safetensors").exists()


def test_an_adapters_folder_is_no_base(base: Path, train: Callable[..., Trainer]) -> None:
    with pytest.raises(ValueError, match=r"holds an adapter and no model.*fgc convert --merge"):
        load_base(str(train(base).output_dir))


def test_without_peft_the_extra_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgc_runtime.packages.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fgc\[peft\]'"):
        fine_tuned(partial(load_base, str(base)), adapter=LoraConfig())


def test_an_adapter_freezes_by_itself(base: Path) -> None:
    with pytest.raises(ValueError, match="must be left out with an adapter"):
        fine_tuned(partial(load_base, str(base)), adapter=LoraConfig(), frozen=["embed"])


def test_patterns_choose_what_is_trained(base: Path) -> None:
    model = load_base(str(base))
    freeze(model, trained=[r"layers\.1\.", "norm"], frozen=["mlp"])
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all(("layers.1." in name or "norm" in name) and "mlp" not in name for name in trained)
    assert "model.norm.weight" in trained and "model.layers.1.self_attn.q_proj.weight" in trained


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ({"frozen": ["embed_tokns"]}, r"frozen: no parameter matches 'embed_tokns'; did you mean embed_tokens"),
        ({"trained": ["("]}, r"trained: '\(' is no regular expression"),
        ({"trained": ["norm"], "frozen": ["norm"]}, "leaves no weight"),
    ],
)
def test_patterns_that_mean_nothing_are_told(base: Path, patterns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        freeze(load_base(str(base)), **patterns)


def test_a_tied_head_is_frozen_with_its_embedding(tmp_path: Path) -> None:
    model = load_base(str(save_base(tmp_path / "tied", tie_word_embeddings=True)))
    freeze(model, frozen=["lm_head"])
    assert not model.model.embed_tokens.weight.requires_grad


def test_frozen_weights_stay_and_a_resume_compares_them(base: Path, train: Callable[..., Trainer]) -> None:
    output = train(base, adapter=None, frozen=["embed_tokens"]).output_dir
    before, after = load_file(base / "model.safetensors"), load_file(output / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert "model.embed_tokens.weight" not in moved and "lm_head.weight" in moved
    with pytest.raises(ResumeRefused, match=r"model\.frozen has changed"):
        train(base, "b", adapter=None, frozen=["norm"], resume_from_checkpoint=str(checkpoint_of(output, 2)))


@pytest.mark.parametrize("strategy", [FSDP2(), Pipeline()], ids=lambda strategy: type(strategy).__name__)
def test_strategies_that_cut_the_model_refuse_an_adapter(base: Path, tmp_path: Path, strategy: Strategy) -> None:
    model = partial(fine_tuned, base=partial(load_base, str(base)), adapter=partial(LoraConfig, r=4))
    args = TrainingArguments(output_dir=str(tmp_path / "out"), max_steps=1)
    rows = [{"input_ids": IDS[0].tolist()}]
    with pytest.raises(ValueError, match=rf"strategy \({type(strategy).__name__}\) .* keeps no adapters"):
        Trainer(args=args, model=model, train_dataset=rows, strategy=strategy)


def test_an_adapter_that_names_a_module_to_import_is_refused(tmp_path: Path) -> None:
    """PEFT imports what `megatron_core` says."""
    (tmp_path / "adapter_config.json").write_text('{"megatron_config": {"a": 1}, "megatron_core": "antigravity"}')
    with pytest.raises(AdapterMismatch, match="Megatron"):
        require_base(tmp_path, cast(Any, None))
