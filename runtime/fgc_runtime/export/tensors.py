"""Tensors of a model's folder to those of a GGUF file: names, order of rows, shape; one at a time."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import gguf
import torch
from torch import Tensor
from transformers import PreTrainedConfig

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.weights import Weights, named
from fgc_runtime.export.families import Family
from fgc_runtime.export.fields import rope_tensors

_EXPERT = re.compile(r"(?P<before>.*\.experts)\.(?P<number>\d+)\.(?P<part>\w+)\.weight")
_PARTS = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}
_Q, _K = re.compile(r".*\.q_proj\.(weight|bias)"), re.compile(r".*\.k_proj\.(weight|bias)")
_LINEAR_OF_GPT2 = re.compile(r".*\.(c_attn|c_proj|c_fc)\.weight")
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
_NOT_PARAMETERS = re.compile(r".*\.(attn\.bias|attn\.masked_bias|rotary_emb\.inv_freq)")


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor of the file: its name, its shape, and how it is made, when it is its turn."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[], Tensor]


def plan_tensors(weights: Weights, config: PreTrainedConfig, family: Family) -> list[Planned]:
    """Every tensor of the file. Raises ConvertError for those that GGUF has no name for."""
    architecture = getattr(gguf.MODEL_ARCH, family.architecture)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    planned, unknown = [], []
    for name, shape, make in _parts(weights, config, family):
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            unknown.append(name)
            continue
        planned.append(Planned(found, shape, make))
    if unknown:
        raise ConvertError(f"GGUF has no {family.architecture} with the tensors {named(sorted(unknown))}")
    for name, tensor in rope_tensors(config).items():
        planned.append(Planned(name, tuple(tensor.shape), partial(torch.clone, tensor)))
    return planned


def permuted(tensor: Tensor, num_heads: int) -> Tensor:
    """Rows of a head in the order of llama.cpp's rotation: pairs beside each other, not half a head apart."""
    halves = tensor.reshape(num_heads, 2, tensor.shape[0] // num_heads // 2, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape)


def _parts(
    weights: Weights, config: PreTrainedConfig, family: Family
) -> Iterator[tuple[str, tuple[int, ...], Callable[[], Tensor]]]:
    """Name as llama.cpp's table has it, shape, and tensor, of each."""
    experts: dict[tuple[str, str], dict[int, str]] = {}
    for name, info in weights.tensors.items():
        match = _EXPERT.fullmatch(name)
        if match:
            part = _PARTS.get(match["part"], match["part"])
            experts.setdefault((match["before"], part), {})[int(match["number"])] = name
        elif name == _HEAD and config.tie_word_embeddings:
            continue
        elif name.endswith(("experts.gate_up_proj", "experts.gate_up_proj_bias")):
            yield from _divided(weights, name, family)
        elif not _NOT_PARAMETERS.fullmatch(name):
            change = _change(name, config, family)
            shape = tuple(change(torch.empty(info.shape, device="meta")).shape)
            yield _spelt(name), shape, partial(_read, weights, name, change)
    for (before, part), numbered in experts.items():
        yield _stacked(weights, f"{before}.{part}.weight", [numbered[number] for number in sorted(numbered)])
    if config.tie_word_embeddings and family.needs_output:
        shape = weights.tensors[_EMBEDDING].shape
        yield _HEAD, shape, lambda: weights.read(_EMBEDDING)


def _read(weights: Weights, name: str, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(weights.read(name))


def _spelt(name: str) -> str:
    """A name that llama.cpp's table has: with `.weight` where transformers has none."""
    if name.endswith("_bias") and ".experts." in name:
        return name.removesuffix("_bias") + ".bias"
    return name if name.endswith((".weight", ".bias")) else f"{name}.weight"


def _change(name: str, config: PreTrainedConfig, family: Family) -> Callable[[Tensor], Tensor]:
    """Returns what is done to a tensor."""
    if family.is_permuted and _Q.fullmatch(name):
        return lambda tensor: permuted(tensor, config.num_attention_heads)
    if family.is_permuted and _K.fullmatch(name):
        return lambda tensor: permuted(tensor, config.num_key_value_heads)
    if family.norm_offset and name.endswith("norm.weight"):
        return lambda tensor: tensor.float() + family.norm_offset
    if family.is_transposed and _LINEAR_OF_GPT2.fullmatch(name):
        return lambda tensor: tensor.T
    if family.architecture == "GPT_OSS" and name.endswith("experts.down_proj"):
        return lambda tensor: tensor.transpose(-1, -2)
    return lambda tensor: tensor


def _divided(
    weights: Weights, name: str, family: Family
) -> Iterator[tuple[str, tuple[int, ...], Callable[[], Tensor]]]:
    """Gate and up of all experts in one tensor: one behind the other, or in turns where experts are gpt-oss's."""
    takes_turns = family.architecture == "GPT_OSS"
    is_bias = name.endswith("_bias")
    before = name.removesuffix("_bias").removesuffix("gate_up_proj")

    def half(part: int, tensor: Tensor) -> Tensor:
        rows = tensor if is_bias or not takes_turns else tensor.transpose(-1, -2)
        dim = -1 if is_bias else -2
        if takes_turns:
            return rows[..., part::2] if is_bias else rows[..., part::2, :]
        return rows.chunk(2, dim=dim)[part]

    for part, short in enumerate(("gate_proj", "up_proj")):
        shape = tuple(half(part, torch.empty(weights.tensors[name].shape, device="meta")).shape)
        part_name = f"{before}{short}.{'bias' if is_bias else 'weight'}"
        yield part_name, shape, partial(_read, weights, name, partial(half, part))


def _stacked(weights: Weights, name: str, sources: Sequence[str]) -> tuple[str, tuple[int, ...], Callable[[], Tensor]]:
    shape = (len(sources), *weights.tensors[sources[0]].shape)
    name = name.replace(".block_sparse_moe.", ".mlp.")
    return name, shape, lambda: torch.stack([weights.read(source) for source in sources])
