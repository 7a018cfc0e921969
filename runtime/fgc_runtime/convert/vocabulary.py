"""A model and its tokenizer with tokens added: new rows of embeddings and head, ids in both configurations.

Only the rows change. All other weights are copied as they are, one tensor at a time, and so are the other files.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.folders import complete_or_absent
from fgc_runtime.convert.weights import Weights, named
from fgc_runtime.models.opening import open_on_meta
from fgc_runtime.models.shards import ShardWriter, Wanted
from fgc_runtime.models.structure import tied_parameters

ROLES = ("bos", "eos", "pad", "unk")


@dataclass(frozen=True, slots=True)
class Token:
    """A token to have. `role` is bos, eos, pad, unk, special or regular; `if_missing`: only if none has the role."""

    text: str
    role: str
    init: str
    if_missing: bool


@dataclass(frozen=True, slots=True)
class Update:
    """Holds what changes: rows to make by their number, ids by role, and the tokenizer that has the tokens."""

    tokenizer: PreTrainedTokenizerBase
    added: Mapping[int, Token]
    role_ids: Mapping[str, int]
    num_known: int
    old_size: int
    new_size: int


def plan_update(model: PreTrainedModel, folder: Path, tokens: Sequence[Token], multiple: int) -> Update:
    """Add the tokens to the tokenizer and number the rows. Raises ConvertError."""
    tokenizer = _tokenizer(folder)
    num_known, old_size = len(tokenizer), _embedding(model).shape[0]
    if num_known > old_size:
        raise ConvertError(f"the tokenizer knows {num_known} tokens, and the embeddings have {old_size} rows only")
    wanted = [token for token in tokens if not (token.if_missing and _has_role(tokenizer, token.role))]
    known = tokenizer.get_vocab()
    for token in wanted:
        _add(tokenizer, token)
    vocabulary = tokenizer.get_vocab()
    added = {vocabulary[token.text]: token for token in wanted if token.text not in known}
    role_ids = {token.role: vocabulary[token.text] for token in wanted if token.role in ROLES}
    size = max(old_size, max(vocabulary.values()) + 1)
    return Update(tokenizer, added, role_ids, num_known, old_size, -(-size // multiple) * multiple)


def write_update(source: Path, target: Path, model: PreTrainedModel, update: Update, max_shard_bytes: int) -> None:
    """Write the whole model folder with the update; complete, or not at all."""
    weights = Weights(source)
    rows = _row_parameters(model, weights)
    wanted = [_wanted(weights, name, rows, update.new_size) for name in weights.tensors]
    with complete_or_absent(target) as folder:
        _bring_files(source, folder, is_in_place=source.resolve() == target.resolve())
        update.tokenizer.save_pretrained(folder)
        for name in ("config.json", "generation_config.json"):
            _write_ids(source / name, folder / name, update)
        _write_template(folder / "model.yaml", update)
        with ShardWriter(folder, wanted, max_shard_bytes) as writer:
            for item in wanted:
                tensor = weights.read(item.name)
                writer.write(item.name, _extended(tensor, update) if item.name in rows else tensor)


def update_text(update: Update) -> str:
    """The tokens with their ids, the roles, and the sizes."""
    lines = [f"  {number:>8}  {token.text}  ({token.role}, {token.init})" for number, token in update.added.items()]
    lines += [f"  {role}_token_id is {number}" for role, number in update.role_ids.items()]
    head = f"{len(update.added)} tokens are new" if update.added else "no token is new"
    return "\n".join([head, *lines, f"rows of embeddings and head: {update.old_size} -> {update.new_size}"])


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConvertError(f"{folder} has no tokenizer that can be loaded: {error}") from error
    return tokenizer


def _has_role(tokenizer: PreTrainedTokenizerBase, role: str) -> bool:
    return role in ROLES and getattr(tokenizer, f"{role}_token") is not None


def _add(tokenizer: PreTrainedTokenizerBase, token: Token) -> None:
    if token.role in ROLES:
        tokenizer.add_special_tokens({f"{token.role}_token": token.text})
    else:
        tokenizer.add_tokens([token.text], special_tokens=token.role == "special")


def _embedding(model: PreTrainedModel) -> Tensor:
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor), "embeddings have a weight"
    return weight


def _row_parameters(model: PreTrainedModel, weights: Weights) -> set[str]:
    """The stored tensors with a row for each token: embeddings, and the head if it has weights of its own."""
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    heads = [model.get_input_embeddings(), head]
    parameters = {id(item) for part in heads if part is not None for item in part.parameters()}
    named_all = model.named_parameters(remove_duplicate=False)
    names = {name for name, item in named_all if id(item) in parameters}
    found = names & set(weights.tensors)
    absent = sorted(names - found - set(tied_parameters(model)))
    if absent:
        raise ConvertError(f"{weights.folder} lacks the weights {named(absent)}")
    return found


def _wanted(weights: Weights, name: str, rows: set[str], new_size: int) -> Wanted:
    info = weights.tensors[name]
    shape = (new_size, *info.shape[1:]) if name in rows else info.shape
    return Wanted(name, shape, info.dtype)


def _extended(old: Tensor, update: Update) -> Tensor:
    """The old rows, and new ones: the mean of the rows of known tokens (in float32), or zeros."""
    mean = old[: update.num_known].float().mean(dim=0).to(old.dtype)
    new = mean.expand(update.new_size - old.shape[0], *old.shape[1:])
    whole = torch.cat([old, new])
    for number, token in update.added.items():
        whole[number] = 0 if token.init == "zero" else mean
    return whole


def _bring_files(source: Path, folder: Path, *, is_in_place: bool) -> None:
    """Everything that is not written anew; in place, what lies in folders too."""
    for path in source.iterdir():
        if path.match("model*.safetensors*") or path.match("pytorch_model*.bin*"):
            continue
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
        elif is_in_place or path.name == "chat_templates":
            copy = os.link if is_in_place else shutil.copy2
            shutil.copytree(path, folder / path.name, symlinks=True, copy_function=copy)


def _write_ids(source: Path, target: Path, update: Update) -> None:
    if not source.is_file():
        return
    values: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    if target.name == "config.json":
        (values.get("text_config") or values)["vocab_size"] = update.new_size
    for role, number in update.role_ids.items():
        if role != "unk":
            values[f"{role}_token_id"] = number
    target.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_template(file: Path, update: Update) -> None:
    """The template that a converted package was generated from says what its configuration says."""
    if not file.is_file():
        return
    text = file.read_text(encoding="utf-8")
    values = {"vocab_size": update.new_size, **{f"{role}_token_id": number for role, number in update.role_ids.items()}}
    for name, value in values.items():
        text = re.sub(rf"^(    {name}: ).*$", rf"\g<1>{value}", text, flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")


def run_update(message: Mapping[str, Any], say: Callable[[str], None]) -> int:
    """Does what the command asks for; returns the exit code. Raises ConvertError."""
    source = Path(message["source"])
    model = open_on_meta(source, trust_remote_code=message["trust_remote_code"])
    tokens = [Token(**token) for token in message["tokens"]]
    update = plan_update(model, source, tokens, message["multiple"])
    say(update_text(update))
    if message["is_dry_run"]:
        return 0
    write_update(source, Path(message["target"]), model, update, message["max_shard_bytes"])
    say(f"written to {message['target']}")
    return 0
