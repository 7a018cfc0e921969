"""Says what belongs to a model beside its weights: tokenizer, licence, and the generation configuration."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from fgc_runtime.convert.faults import ConvertError

_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "chat_template.jinja"),
    *("chat_template.json", "chat_templates", "LICENSE*", "NOTICE*"),
)
_TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def copy_companions(source: Path, target: Path) -> list[str]:
    """Copy tokenizer and licence files; their names."""
    found = [path for pattern in _TOKENIZER_FILES for path in sorted(source.glob(pattern))]
    found = [path for path in found if path.is_file() or path.is_dir()]
    for path in found:
        if path.is_dir():
            shutil.copytree(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)
    if found:
        _name_tokenizer_class(source, target)
    return [path.name for path in found]


def generation_config(source: Path, config: PreTrainedConfig) -> dict[str, Any]:
    """The source's generation configuration, or what its model configuration says of the ends of texts.

    `generate` stops at the `eos_token_id` of this file alone, so the model configuration is given the same ids.
    """
    file = source / "generation_config.json"
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise ConvertError(f"{file} is not valid JSON: {error}") from error
    for name in _TOKEN_IDS:
        known = values.get(name)
        if known is None:
            known = getattr(config, name, None)
        if known is not None:
            values[name] = known
            setattr(config, name, known)
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def copy_code(package: Path, names: Iterable[str], target: Path) -> None:
    """Copy a package's Python files."""
    for name in names:
        shutil.copyfile(package / name, target / name)


def _name_tokenizer_class(source: Path, target: Path) -> None:
    """AutoTokenizer looks up the class by the kind of model, which changes: write it down if the source does not."""
    file = target / "tokenizer_config.json"
    values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if not values.get("tokenizer_class"):
        from transformers import AutoTokenizer

        values["tokenizer_class"] = type(AutoTokenizer.from_pretrained(source, trust_remote_code=False)).__name__
        write_json(file, values)
