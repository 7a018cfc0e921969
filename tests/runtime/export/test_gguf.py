"""GGUF files of every family, read back; what llama.cpp would compute otherwise is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy
import pytest
import torch
from fgc.cli.main import main as fgc
from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.export.__main__ import main
from fgc_runtime.export.families import FAMILIES
from fgc_runtime.export.tensors import permuted
from fgc_runtime.export.to_gguf import to_gguf
from fgc_runtime.export.tokens import vocabulary_of
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.runtime.export.conftest import NUM_ROWS, save_folder

FolderOf = Callable[[str], Path]


def read(path: Path) -> tuple[dict[str, Any], dict[str, numpy.ndarray]]:
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {tensor.name: tensor.data for tensor in reader.tensors}


@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_family_is_written_and_has_all_that_llama_cpp_asks_for(
    model_type: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    to_gguf(folder_of(model_type), tmp_path / "m.gguf", dtype=None, rule=None)
    fields, tensors = read(tmp_path / "m.gguf")
    name = fields["general.architecture"]
    for key in ("block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count"):
        assert fields[f"{name}.{key}"] > 0
    assert len(fields["tokenizer.ggml.tokens"]) == fields[f"{name}.vocab_size"] == tensors["token_embd.weight"].shape[0]
    saved = load_file(folder_of(model_type) / "model.safetensors")
    architecture = getattr(gguf.MODEL_ARCH, FAMILIES[model_type].architecture)
    known = {
        gguf.TENSOR_NAMES[each].format(bid=layer) for each in gguf.MODEL_TENSORS[architecture] for layer in range(6)
    }
    assert {tensor.rsplit(".", 1)[0] for tensor in tensors} <= known
    stored = sum(tensor.numel() for each, tensor in saved.items() if each != "lm_head.weight")
    written = sum(tensor.size for each, tensor in tensors.items() if each != "output.weight")
    assert written == stored


def test_rows_of_q_and_k_change_places_and_rotate_to_the_same(folder_of: FolderOf, tmp_path: Path) -> None:
    to_gguf(folder_of("llama"), tmp_path / "m.gguf", dtype="float32", rule=None)
    _, tensors = read(tmp_path / "m.gguf")
    saved = load_file(folder_of("llama") / "model.safetensors")
    found = torch.tensor(tensors["blk.0.attn_k.weight"]).reshape(2, 8, 2, 64)  # heads, pairs, both of a pair
    halves = saved["model.layers.0.self_attn.k_proj.weight"].reshape(2, 2, 8, 64)
    assert torch.equal(found[:, :, 0], halves[:, 0]) and torch.equal(found[:, :, 1], halves[:, 1])
    assert torch.equal(torch.tensor(tensors["blk.0.attn_v.weight"]), saved["model.layers.0.self_attn.v_proj.weight"])
    bias = saved["model.layers.0.self_attn.q_proj.bias"]
    assert torch.equal(torch.tensor(tensors["blk.0.attn_q.bias"]), permuted(bias, 4))


def test_tied_weights_are_written_twice_only_where_llama_cpp_wants_it(folder_of: FolderOf, tmp_path: Path) -> None:
    for model_type, is_written in (("qwen3", False), ("olmo2", True), ("gemma", False), ("llama", True)):
        to_gguf(folder_of(model_type), tmp_path / model_type, dtype=None, rule=None)
        _, tensors = read(tmp_path / model_type)
        assert ("output.weight" in tensors) is is_written
    assert numpy.array_equal(*(read(tmp_path / "olmo2")[1][name] for name in ("output.weight", "token_embd.weight")))


def test_norms_of_gemma_have_their_one(folder_of: FolderOf, tmp_path: Path) -> None:
    to_gguf(folder_of("gemma2"), tmp_path / "m.gguf", dtype="float16", rule=None)
    _, tensors = read(tmp_path / "m.gguf")
    saved = load_file(folder_of("gemma2") / "model.safetensors")["model.norm.weight"]
    assert tensors["output_norm.weight"].dtype == numpy.float32
    assert torch.equal(torch.tensor(tensors["output_norm.weight"]), saved + 1)


def test_the_tokenizer_is_all_there(folder_of: FolderOf, tmp_path: Path) -> None:
    to_gguf(folder_of("llama"), tmp_path / "m.gguf", dtype=None, rule=None)
    fields, _ = read(tmp_path / "m.gguf")
    tokenizer = AutoTokenizer.from_pretrained(folder_of("llama"))
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    assert (fields["tokenizer.ggml.model"], fields["tokenizer.ggml.pre"]) == ("gpt2", "gpt-2")
    assert tokens[: len(tokenizer)] == tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert (tokens[-1], kinds[-1]) == (f"[PAD{NUM_ROWS - 1}]", gguf.TokenType.UNUSED)
    assert kinds[:4] == [gguf.TokenType.CONTROL] * 4 and kinds[4] == gguf.TokenType.NORMAL
    assert (fields["tokenizer.ggml.bos_token_id"], fields["tokenizer.ggml.eos_token_id"]) == (0, 1)
    assert (fields["tokenizer.ggml.add_bos_token"], fields["tokenizer.ggml.add_eos_token"]) == (True, False)
    assert fields["tokenizer.chat_template"] == tokenizer.chat_template
    merges = json.loads((folder_of("llama") / "tokenizer.json").read_text())["model"]["merges"]
    assert fields["tokenizer.ggml.merges"] == [" ".join(merge) for merge in merges]


def tokenizer_of(**parts: Any) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")], **parts.pop("options", {})))
    for name, part in parts.items():
        setattr(core, name, part)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")


def cut_by(expression: str) -> pre_tokenizers.PreTokenizer:
    from tokenizers import Regex

    split = pre_tokenizers.Split(Regex(expression), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LLAMA3 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def test_the_rule_that_cuts_texts_is_known_by_what_it_does_not_by_a_name(tmp_path: Path) -> None:
    def rule(**parts: Any) -> str:
        return str(vocabulary_of(tokenizer_of(**parts), tmp_path, num_rows=9).pairs["tokenizer.ggml.pre"])

    whole = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), whole])
    assert rule(pre_tokenizer=whole) == "gpt-2"
    assert rule(pre_tokenizer=cut_by(_LLAMA3), options={"ignore_merges": True}) == "llama-bpe"
    assert rule(pre_tokenizer=cut_by(_LLAMA3)) == "smaug-bpe"
    assert rule(pre_tokenizer=cut_by(_LLAMA3.replace("{1,3}", ""))) == "qwen2"
    assert rule(pre_tokenizer=digits) == "starcoder"


REFUSED_TOKENIZERS: dict[str, tuple[dict[str, Any], str]] = {
    "another rule": ({"pre_tokenizer": cut_by("[aeiou]+")}, "--gguf-pre NAME"),
    "no rule": ({}, "--gguf-pre NAME"),
    "a space before texts": ({"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)}, "add_prefix_space"),
    "small letters": (
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False), "normalizer": normalizers.Lowercase()},
        "Lowercase",
    ),
}


@pytest.mark.parametrize("case", REFUSED_TOKENIZERS)
def test_a_rule_that_llama_cpp_has_not_is_refused(case: str, tmp_path: Path) -> None:
    parts, message = REFUSED_TOKENIZERS[case]
    with pytest.raises(ConvertError, match=message):
        vocabulary_of(tokenizer_of(**parts), tmp_path, num_rows=9)


def test_sentencepieces_merges_become_scores(tmp_path: Path) -> None:
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    texts = ["<unk>", *bytes_, "\u2581", "a", "b", "ab", "\u2581ab"]
    vocabulary = {text: number for number, text in enumerate(texts)}
    core = Tokenizer(models.BPE(vocabulary, [("a", "b"), ("\u2581", "ab")], unk_token="<unk>", byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")
    pairs = vocabulary_of(tokenizer, tmp_path, num_rows=263).pairs
    assert (pairs["tokenizer.ggml.model"], pairs["tokenizer.ggml.add_space_prefix"]) == ("llama", True)
    assert pairs["tokenizer.ggml.scores"][-6:] == [-3.0, -3.0, -3.0, 0.0, -1.0, -3.0]
    kinds = [gguf.TokenType(kind).name for kind in pairs["tokenizer.ggml.token_type"]]
    assert kinds == ["UNKNOWN", *["BYTE"] * 256, *["NORMAL"] * 5, "UNUSED"]


def test_a_name_that_llama_cpp_would_take_for_phi_3_is_not_written(folder_of: FolderOf, tmp_path: Path) -> None:
    for name, written in (("my-Phi-3", "model"), ("mine", "mine")):
        to_gguf(folder_of("phi3"), tmp_path / name, dtype=None, rule=None, name=name)
        assert read(tmp_path / name)[0]["general.name"] == written


REFUSED_MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "an activation": ("llama", {"hidden_act": "gelu"}, "the activation is gelu; llama.cpp has silu"),
    "positions": (
        "llama",
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
        "of the type dynamic",
    ),
    "a pattern of windows": ("gemma2", {"layer_types": ["full_attention", "sliding_attention"]}, "but every 2th"),
    "a scale": ("gemma3_text", {"query_pre_attn_scalar": 20}, "query_pre_attn_scalar is 20; llama.cpp has 24"),
    "weights of experts": ("qwen3_moe", {"norm_topk_prob": False}, "norm_topk_prob is False; llama.cpp has True"),
    "heads of OLMoE": ("olmoe", {"num_key_value_heads": 2}, "num_key_value_heads is 2; llama.cpp has as many as heads"),
    "biases of SmolLM3": ("smollm3", {"attention_bias": True}, "attention_bias is True; llama.cpp has False"),
    "layers without rotation": ("smollm3", {"no_rope_layers": [1, 0, 1, 0]}, "every 4th layer"),
}


@pytest.mark.parametrize("case", REFUSED_MODELS)
def test_what_llama_cpp_would_compute_otherwise_is_refused(case: str, tmp_path: Path) -> None:
    model_type, changes, message = REFUSED_MODELS[case]
    folder = save_folder(tmp_path / "m", model_type, **changes)
    with pytest.raises(ConvertError, match=message):
        to_gguf(folder, tmp_path / "m.gguf", dtype=None, rule=None)
    assert not list(tmp_path.glob("*.gguf*"))


def test_a_window_that_llama_cpp_does_not_know_is_told(folder_of: FolderOf, tmp_path: Path) -> None:
    notes = to_gguf(folder_of("mistral"), tmp_path / "m.gguf", dtype=None, rule=None)
    assert any("the same up to 16 tokens" in note for note in notes)


def test_numbers_that_float16_has_not_are_refused_and_nothing_is_left(folder_of: FolderOf, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import save_file

    folder = shutil.copytree(folder_of("llama"), tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConvertError, match=r"blk\.0\.ffn_up\.weight has numbers that float16 has not"):
        to_gguf(folder, tmp_path / "m.gguf", dtype="float16", rule=None)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    to_gguf(folder, tmp_path / "m.gguf", dtype="bfloat16", rule=None)


def test_eight_bits_are_near(folder_of: FolderOf, tmp_path: Path) -> None:
    to_gguf(folder_of("llama"), tmp_path / "m.gguf", dtype="q8_0", rule=None)
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    [found] = [tensor for tensor in reader.tensors if tensor.name == "blk.0.ffn_up.weight"]
    weights = load_file(folder_of("llama") / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    assert found.tensor_type == gguf.GGMLQuantizationType.Q8_0
    numbers = torch.tensor(gguf.quants.dequantize(found.data, found.tensor_type))
    assert (numbers - weights).abs().max() < 0.01 * weights.abs().max()


REFUSED_WORDS: dict[str, tuple[list[str], str]] = {
    "no file": (["--to", "gguf"], "DST is missing"),
    "a folder": (["out", "--to", "gguf"], "must end with .gguf"),
    "a type": (["out", "--dtype", "q8_0"], "are for `--to gguf`"),
    "a type of its own": (["out.gguf", "--to", "gguf:llama"], "already has an architecture"),
}


@pytest.mark.parametrize("case", REFUSED_WORDS)
def test_words_that_do_not_fit_are_told(
    case: str, folder_of: FolderOf, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words, message = REFUSED_WORDS[case]
    assert fgc(["convert", str(folder_of("llama")), *words]) == 2
    assert message in capsys.readouterr().err


def test_an_architecture_that_gguf_has_not_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/config.json").write_text('{"model_type": "deepone"}')
    assert main(["gguf", str(tmp_path / "m"), str(tmp_path / "m.gguf")]) == 2
    assert "deepone is no architecture that fgc writes as GGUF; those are llama," in capsys.readouterr().err
