"""A tokenizer and a model to a model that has an embedding for each token, and the right one."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.trust import checked_folder

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def fit_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, may_resize: bool, has_adapter: bool
) -> None:
    """Gives tokens behind the model's vocabulary rows of their own, if they may have them.

    New rows begin as the mean of the others, with a little noise (transformers' `mean_resizing`).
    Raises ValueError for a tokenizer that is too long, and for one that has the model's tokens at other places.
    """
    _require_same_ids(model, tokenizer)
    embedding: Any = model.get_input_embeddings()
    num_rows, num_tokens = int(embedding.weight.shape[0]), len(tokenizer)
    if num_tokens <= num_rows:
        return
    too_long = f"tokenizer has {num_tokens} tokens, and the model embeddings for {num_rows}"
    if has_adapter:
        raise ValueError(
            f"{too_long}. An adapter adds no rows: make a base that has them (fgc update-vocab), and let the adapter "
            "train them with trainable_token_indices"
        )
    if not may_resize:
        raise ValueError(
            f"{too_long}. new_tokens: resize adds rows that training fills; or give the model's own tokenizer"
        )
    model.resize_token_embeddings(num_tokens)


def _require_same_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Compares with the tokenizer beside the model, where there is one. Raises ValueError for another."""
    folder = Path(model.name_or_path or "")
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return
    own, given = _vocabulary(folder), tokenizer.get_vocab()
    moved = sorted((own[token], token) for token in own.keys() & given.keys() if own[token] != given[token])
    by_place = {place: token for token, place in given.items()}
    others = [(place, token) for token, place in own.items() if by_place.get(place, token) != token]
    if not moved and len(others) <= len(own) // 100:  # a few spare tokens may have been renamed
        return
    place, token = moved[0] if moved else min(others)
    raise ValueError(
        f"tokenizer is another than the model's: token {token!r} is number {place} in {folder} and "
        f"{given.get(token, 'none')} in the tokenizer. The model would have to learn every word anew; use its own "
        "tokenizer, or add tokens to that one (fgc update-vocab)"
    )


def _vocabulary(folder: Path) -> dict[str, int]:
    checked = checked_folder(folder)
    found: dict[str, int] = AutoTokenizer.from_pretrained(
        checked.path, trust_remote_code=checked.is_trusted
    ).get_vocab()
    return found
