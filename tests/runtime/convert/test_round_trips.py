"""Converted there and back, a model is what it was: tensors, configuration, logits."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fgc.cli.conversion_tables import read_tables
from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.fields import to_architecture, to_package
from fgc_runtime.convert.tables import Architecture, check_table, count_experts
from fgc_runtime.convert.weights import Weights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from .conftest import FIELDS, Convert, config_of, save_model, save_tokenizer

TABLES = {name: Architecture.of(table) for name, table in read_tables().items()}


def config(folder: Path) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.slow
@pytest.mark.parametrize("model_type", FIELDS)
def test_there_and_back_nothing_differs(
    model_type: str,
    hugging_face: Callable[[str], Path],
    run_conversion: Convert,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, package, back = hugging_face(model_type), tmp_path / f"copy_of_{model_type}", tmp_path / "back"
    assert run_conversion(source, package) == 0
    assert run_conversion(package, back) == 0
    differences = re.findall(r"differ by at most (\S+) ", capsys.readouterr().out)
    assert [float(text) <= 1e-5 for text in differences] == [True, True]
    assert config(back) == config(source)
    before, after = load_file(source / "model.safetensors"), load_file(back / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


ROPE_TYPES = {
    "linear": {"factor": 4.0},
    "dynamic": {"factor": 4.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 16},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "longrope": {
        "short_factor": [1.0 + i / 10 for i in range(8)],
        "long_factor": [2.0 + i for i in range(8)],
        "original_max_position_embeddings": 16,
    },
}


SLOW_TYPES = [pytest.param(name, marks=pytest.mark.slow) for name in ROPE_TYPES if name not in ("yarn", "llama3")]


@pytest.mark.parametrize("rope_type", ["yarn", "llama3", *SLOW_TYPES])
def test_rotary_positions_of_every_type_there_and_back(
    rope_type: str, run_conversion: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rope = {"rope_type": rope_type, "rope_theta": 500000.0, **ROPE_TYPES[rope_type]}
    source = save_model(tmp_path / "source", config_of("llama", rope_parameters=rope))
    run_conversion(source, tmp_path / "package")
    run_conversion(tmp_path / "package", tmp_path / "back")
    differences = re.findall(r"differ by at most (\S+) ", capsys.readouterr().out)
    assert [float(text) <= 1e-5 for text in differences] == [True, True]
    assert config(tmp_path / "back") == config(source)


def test_rotary_positions_that_no_template_computes_are_named() -> None:
    theirs = config_of("llama")
    theirs.rope_parameters = {"rope_type": "spiral", "rope_theta": 1e4}
    with pytest.raises(ConvertError, match=r"is 'spiral'; a package of .* computes .default., .linear."):
        to_package(theirs, TABLES["llama"])


def test_a_window_larger_than_the_context_is_kept(run_conversion: Convert, tmp_path: Path) -> None:
    source = save_model(tmp_path / "source", config_of("mistral", sliding_window=4096))
    run_conversion(source, tmp_path / "package", is_verified=False)
    assert config(tmp_path / "package")["sliding_window"] == 4096


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "mixtral", "gemma3_text", "smollm3", "phi3", "deepseek_v3"])
def test_a_package_generates_what_its_source_does(
    model_type: str, hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path
) -> None:
    run_conversion(hugging_face(model_type), tmp_path / f"copy_of_{model_type}", is_verified=False)
    ids = torch.arange(3, 33)[None]
    options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": -1, "pad_token_id": 0}
    theirs = AutoModelForCausalLM.from_pretrained(hugging_face(model_type)).generate(ids, **options)
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / f"copy_of_{model_type}", trust_remote_code=True)
    for cache in ({}, {"cache_implementation": "static"}):
        assert ours.generate(ids, **options, **cache).tolist() == theirs.tolist()


@pytest.mark.parametrize("model_type", ["mixtral", "olmoe"])
def test_experts_that_are_stacked_in_the_files_are_read(
    model_type: str, run_conversion: Convert, tmp_path: Path
) -> None:
    source = save_model(tmp_path / "source", config_of(model_type), save_original_format=False)
    assert any(name.endswith("experts.gate_up_proj") for name in Weights(source).tensors)
    assert run_conversion(source, tmp_path / "package") == 0


def test_layers_that_predict_further_tokens_are_left_out(
    hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(hugging_face("glm4_moe"), tmp_path / "source")
    tensors = load_file(source / "model.safetensors")
    further = {f"model.layers.3.{name}": torch.ones(2) for name in ("eh_proj.weight", "mlp.gate.weight")}
    further["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(2)  # older files have these
    save_file({**tensors, **further}, source / "model.safetensors", metadata={"format": "pt"})
    changed = {**config(source), "num_nextn_predict_layers": 1}
    (source / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    assert run_conversion(source, tmp_path / "package", is_verified=False) == 0
    assert f"left out: {', '.join(sorted(further))}" in capsys.readouterr().out
    assert run_conversion(tmp_path / "package", tmp_path / "back", is_verified=False) == 0
    assert config(tmp_path / "back") == config(hugging_face("glm4_moe"))


def test_what_a_component_keeps_in_float32_is_not_rounded(
    hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path
) -> None:
    source, package = hugging_face("glm4_moe"), tmp_path / "copy_of_glm4_moe"
    assert run_conversion(source, package, is_verified=False, dtype="bfloat16") == 0
    name = "model.layers.1.mlp.gate.e_score_correction_bias"
    before, after = load_file(source / "model.safetensors"), load_file(package / "model.safetensors")
    assert torch.equal(after[name], before[name]) and after["lm_head.weight"].dtype == torch.bfloat16
    loaded = AutoModelForCausalLM.from_pretrained(package, trust_remote_code=True, dtype=torch.bfloat16)
    assert torch.equal(loaded.state_dict()[name], before[name])


def test_an_expert_that_is_missing_is_named(run_conversion: Convert, tmp_path: Path) -> None:
    source = save_model(tmp_path / "source", config_of("mixtral"))
    tensors = load_file(source / "model.safetensors")
    del tensors["model.layers.1.block_sparse_moe.experts.2.w3.weight"]
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConvertError, match=r"missing 1 tensors: model\.layers\.1\.block_sparse_moe\.experts\.2\.w3"):
        run_conversion(source, tmp_path / "package")


def test_a_package_holds_the_template_it_was_generated_from(
    hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path
) -> None:
    run_conversion(hugging_face("llama"), tmp_path / "copy_of_llama", is_verified=False)
    template = (tmp_path / "copy_of_llama" / "model.yaml").read_text(encoding="utf-8")
    assert "-- extends 'models/llama.yaml'" in template
    assert "    rms_norm_eps: 1.0e-05\n" in template and "[attention]\n    == super()\n    bias: true\n" in template


def _lists_layers(model_type: str) -> bool:
    return not FIELDS[model_type].keys().isdisjoint({"layer_types", "no_rope_layers"})


@pytest.mark.parametrize("model_type", TABLES)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_fields_come_back_as_they_were(model_type: str, data: st.DataObject) -> None:
    """For any sizes and switches: the architecture's configuration, and what the package was told."""
    architecture = TABLES[model_type]
    heads = data.draw(st.integers(1, 8))
    changes = {
        "num_attention_heads": heads,
        "hidden_size": heads * 2 * data.draw(st.integers(1, 16)),
        # the lists of what each layer is have a fixed length
        "num_hidden_layers": 2 if _lists_layers(model_type) else data.draw(st.integers(1, 100)),
        "tie_word_embeddings": data.draw(st.booleans()),
        "eos_token_id": data.draw(st.one_of(st.none(), st.integers(0, 95), st.lists(st.integers(0, 95), min_size=1))),
        "initializer_range": data.draw(st.floats(1e-9, 1)),
    }
    if model_type != "gpt2":
        changes["num_key_value_heads"] = heads
    switches = {name: data.draw(st.booleans()) for name in architecture.switches}
    theirs = config_of(model_type, **changes, **switches)
    ours = to_package(theirs, architecture)
    tensors = [switch.tensors.replace("*", "0") for name, switch in architecture.switches.items() if switches[name]]
    assert to_architecture(ours.fields, tensors, architecture).to_dict() == theirs.to_dict()
    included = {switch.block for switch in architecture.switches.values() if switch.template is not None}
    said = [*(argument for arguments in ours.blocks.values() for argument in arguments), *included & set(ours.includes)]
    assert len(said) == sum(switches.values())


@pytest.mark.parametrize("model_type", TABLES)
def test_a_table_is_a_bijection_on_the_tensors_of_its_model(
    model_type: str, hugging_face: Callable[[str], Path]
) -> None:
    architecture = TABLES[model_type]
    check_table(architecture)
    theirs = list(load_file(hugging_face(model_type) / "model.safetensors"))
    count = count_experts(architecture, theirs)
    groups = dict.fromkeys(architecture.group_of_theirs(name, count) for name in theirs)
    assert sorted(name for group in groups for name in group.theirs) == sorted(theirs)
    ours = [name for group in groups for name in group.ours]
    assert len(set(ours)) == len(ours)
    for group in groups:
        assert all(architecture.group_of_ours(name, count) == group for name in group.ours)


@pytest.mark.parametrize("options", [{"max_shard_size": "100KB"}, {}], ids=["shards", "one file"])
def test_shards_are_read_and_written(options: dict[str, str], run_conversion: Convert, tmp_path: Path) -> None:
    source = save_model(tmp_path / "source", config_of("qwen3"), **options)
    assert (source / "model.safetensors.index.json").is_file() is bool(options)
    run_conversion(source, tmp_path / "package", max_shard_bytes=60_000)
    index = json.loads((tmp_path / "package" / "model.safetensors.index.json").read_text(encoding="utf-8"))
    files = set(index["weight_map"].values())
    assert len(files) > 3
    assert all((tmp_path / "package" / name).stat().st_size < 62_000 for name in files)
    assert index["metadata"]["total_size"] == sum(info.num_bytes for info in Weights(source).tensors.values())


def test_pickled_weights_without_prefix_and_with_old_masks(run_conversion: Convert, tmp_path: Path) -> None:
    """As the first GPT-2 folders are: GPT2Model's names, and buffers that are no weights."""
    source = save_model(tmp_path / "source", config_of("gpt2"))
    tensors = load_file(source / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    old["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    torch.save(old, source / "pytorch_model.bin")
    (source / "model.safetensors").rename(tmp_path / "kept.safetensors")
    run_conversion(source, tmp_path / "package", is_verified=False)
    run_conversion(tmp_path / "package", tmp_path / "back", is_verified=False)
    back = load_file(tmp_path / "back" / "model.safetensors")
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_another_dtype_is_compared_after_rounding(
    hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_conversion(hugging_face("llama"), tmp_path / "package", dtype="bfloat16") == 0
    assert "in bfloat16\nlogits of 2 x 64" in capsys.readouterr().out
    assert config(tmp_path / "package")["dtype"] == "bfloat16"


def test_a_copy_of_a_tied_head_is_dropped_if_it_is_one(run_conversion: Convert, tmp_path: Path) -> None:
    from fgc_runtime.convert.faults import ConvertError
    from safetensors.torch import save_file

    source = save_model(tmp_path / "source", config_of("qwen3"))
    tensors = load_file(source / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    run_conversion(source, tmp_path / "package", is_verified=False)
    assert "lm_head.weight" not in load_file(tmp_path / "package" / "model.safetensors")
    tensors["lm_head.weight"][0, 0] += 1
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConvertError, match=r"`lm_head\.weight` differs from `model\.embed_tokens\.weight`"):
        run_conversion(source, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_tokenizer_and_where_texts_end_come_along(run_conversion: Convert, tmp_path: Path) -> None:
    source = save_model(tmp_path / "source", config_of("llama"))
    save_tokenizer(source)
    (source / "LICENSE").write_text("free", encoding="utf-8")
    wanted = {"eos_token_id": [1, 7], "temperature": 0.6, "do_sample": True}
    (source / "generation_config.json").write_text(json.dumps(wanted), encoding="utf-8")
    run_conversion(source, tmp_path / "package", is_verified=False)
    written = json.loads((tmp_path / "package" / "generation_config.json").read_text(encoding="utf-8"))
    assert written.items() >= wanted.items()
    assert config(tmp_path / "package")["eos_token_id"] == [1, 7]
    assert (tmp_path / "package" / "LICENSE").read_text(encoding="utf-8") == "free"
    assert AutoTokenizer.from_pretrained(tmp_path / "package")("a b")["input_ids"] == [3, 4]
