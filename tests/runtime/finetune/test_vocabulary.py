"""A tokenizer and a model that do not fit: told, or made to fit where that is wanted."""

from functools import partial
from pathlib import Path

import pytest
import torch
from fgc_runtime.data import train_bpe_tokenizer
from fgc_runtime.finetune import fine_tuned, load_base
from peft import LoraConfig
from transformers import AutoTokenizer

from .conftest import TEXTS, save_base


def test_more_tokens_are_refused_or_get_rows(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<tool>", "</tool>"])
    make = partial(fine_tuned, partial(load_base, str(base)), tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"has \d+ tokens, and the model embeddings for \d+. new_tokens: resize"):
        make()
    before, model = load_base(str(base)), make(new_tokens="resize")
    old, new = before.model.embed_tokens.weight, model.model.embed_tokens.weight
    assert len(new) == len(tokenizer) == model.config.vocab_size and torch.equal(new[: len(old)], old)
    assert model.lm_head.weight.shape[0] == len(tokenizer)
    with pytest.raises(ValueError, match=r"An adapter adds no rows.*update-vocab"):
        make(adapter=LoraConfig())


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path, base: Path) -> None:
    """It has fewer tokens, so nothing would fail: the model would read other words."""
    other = train_bpe_tokenizer(
        ["zebra quartz"] * 9, vocab_size=290, eos_token="<|end|>", bos_token="<|begin|>", cache_dir=tmp_path / "c"
    )
    with pytest.raises(ValueError, match="tokenizer is another than the model's"):
        fine_tuned(partial(load_base, str(base)), tokenizer=other)


def test_its_own_tokenizer_with_a_token_for_padding_is_accepted(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", vocab_size=320)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"pad_token": "<|other pad|>"})
    assert fine_tuned(partial(load_base, str(base)), tokenizer=tokenizer).config.vocab_size == 320
    assert TEXTS


def test_a_folder_that_is_no_model_is_told(tmp_path: Path, base: Path) -> None:
    with pytest.raises(ValueError, match=r"has no config\.json; there is one in .*/base"):
        load_base(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"there is no folder \./bsae"):
        load_base("./bsae")
