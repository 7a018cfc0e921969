"""A Hugging Face folder to a GGUF file, complete or absent."""

import json
from pathlib import Path
from typing import Any

import gguf
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.weights import Weights
from fgc_runtime.export.families import FAMILIES, Family, notes_of, problems_of
from fgc_runtime.export.fields import fields_of
from fgc_runtime.export.tensors import plan_tensors
from fgc_runtime.export.tokens import vocabulary_of
from fgc_runtime.export.writing import write_gguf
from fgc_runtime.full_disk import room_errors
from fgc_runtime.models.finding import find_model

_PHI3_TOKENS = frozenset({"</s>", "<unk>", "<s>", "<|endoftext|>"})
_TYPES = {"torch.float32": "float32", "torch.float16": "float16", "torch.bfloat16": "bfloat16"}


def to_gguf(source: Path, target: Path, *, dtype: str | None, rule: str | None, name: str | None = None) -> list[str]:
    """Writes the file and returns sentences about it. Raises ConvertError for what GGUF or llama.cpp has not."""
    config, family = _family(source)
    weights = Weights(source)
    tensors = plan_tensors(weights, config, family)
    tokenizer = AutoTokenizer.from_pretrained(find_model(source).tokenizer, trust_remote_code=False)
    vocabulary = vocabulary_of(tokenizer, source, num_rows=config.vocab_size, rule=rule)
    pairs: dict[str, Any] = {gguf.Keys.General.NAME: _loadable(name or source.resolve().name, vocabulary.pairs)}
    pairs |= dict(fields_of(config, family)) | vocabulary.pairs
    architecture = gguf.MODEL_ARCH_NAMES[getattr(gguf.MODEL_ARCH, family.architecture)]
    kind = dtype or _stored(weights)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with room_errors(target):
            write_gguf(unfinished, architecture, pairs, tensors, kind)
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    size = target.stat().st_size / 1e6
    done = f"{target}: {architecture}, {len(tensors)} tensors, {kind}, {size:.1f} MB; read back and compared"
    return [done, *notes_of(config, family), *vocabulary.notes]


def _loadable(name: str, pairs: dict[str, Any]) -> str:
    """A name by which llama.cpp loads the file: one with `phi3` in it makes it look for tokens of Phi-3's own."""
    tokens = set(pairs[gguf.Keys.Tokenizer.LIST])
    is_phi3 = "phi3" in name.lower() or "phi-3" in name.lower()
    return "model" if is_phi3 and not tokens >= _PHI3_TOKENS else name


def _family(source: Path) -> tuple[PreTrainedConfig, Family]:
    kind = json.loads((source / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConvertError(f"{kind} is no architecture that fgc writes as GGUF; those are {known}")
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # anything: a field of a wrong type
        reason = f"{type(error).__name__}: {error}"
        raise ConvertError(f"{source / 'config.json'} cannot be used: {reason}") from error
    family = FAMILIES[kind]
    if problems := problems_of(config, family):
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise ConvertError(f"llama.cpp would compute something else than this {kind}:{listed}")
    return config, family


def _stored(weights: Weights) -> str:
    """The type that most numbers of a folder have."""
    sizes: dict[str, int] = {}
    for info in weights.tensors.values():
        sizes[str(info.dtype)] = sizes.get(str(info.dtype), 0) + info.num_bytes
    return _TYPES.get(max(sizes, key=lambda kind: sizes[kind]), "float32")
