"""Texts to a byte-level BPE tokenizer; the same texts and settings give the same tokenizer, trained once.

Byte-level: every text can be encoded and comes back unchanged, so there is no unknown token.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.cache import cache_folder, cached_file, content_key

_RECIPE = 1  # changes when the same texts and settings would give another tokenizer


def train_bpe_tokenizer(
    texts: Sequence[str],
    *,
    vocab_size: int,
    min_frequency: int = 2,
    bos_token: str = "<|bos|>",
    eos_token: str = "<|eos|>",
    pad_token: str = "<|pad|>",
    model_max_length: int = 2048,
    max_bytes: int = 20_000_000,
    cache_dir: str | Path | None = None,
) -> PreTrainedTokenizerFast:
    """A tokenizer with `vocab_size` tokens at most, trained on the first `max_bytes` of the texts.

    Encoding a text puts `bos_token` before it; `eos_token` is for whoever joins documents. The three special tokens
    are distinct and have the ids 0, 1 and 2. Trained on first use, later read from `cache_dir` (the user's cache).
    """
    special_tokens = [bos_token, eos_token, pad_token]
    if len(set(special_tokens)) < 3:
        raise ValueError(f"bos_token, eos_token, pad_token ({', '.join(special_tokens)}) must be distinct")
    if vocab_size < 256 + len(special_tokens):
        raise ValueError(f"vocab_size ({vocab_size}) must be at least 259: 256 bytes and 3 special tokens")
    settings = json.dumps([_RECIPE, vocab_size, min_frequency, special_tokens])
    key = content_key([settings, *_first_bytes(texts, max_bytes)])
    folder = Path(cache_dir) if cache_dir is not None else cache_folder() / "tokenizers"
    path = cached_file(
        folder / f"{key}.json",
        lambda path: _train(_first_bytes(texts, max_bytes), vocab_size, min_frequency, special_tokens).save(str(path)),
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer.from_file(str(path)),
        bos_token=bos_token,
        eos_token=eos_token,
        pad_token=pad_token,
        model_max_length=model_max_length,
        clean_up_tokenization_spaces=False,
    )


def with_pad_token(tokenizer: PreTrainedTokenizerFast, pad_token: str = "<|pad|>") -> PreTrainedTokenizerFast:
    """The tokenizer with a pad token of its own; one that it already has, or a new one behind all others.

    A new token makes it longer by one: a model needs `vocab_size` of `len(tokenizer)` at least. Raises ValueError if
    `pad_token` ends texts.
    """
    if pad_token == tokenizer.eos_token:
        raise ValueError(f"pad_token ({pad_token!r}) must differ from the tokenizer's eos_token")
    tokenizer.add_special_tokens({"pad_token": pad_token})
    return tokenizer


def pad_within_vocabulary(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Gives the tokenizer of a pretrained model a pad token for which the model has an embedding; returns it.

    Its own, unless that ends texts; else a token for padding, its token for what is unknown, a reserved one. Only a
    tokenizer with none of these gets a new token. Padding is masked and never learnt: any token that ends no text does.
    """
    if tokenizer.pad_token is not None and tokenizer.pad_token != tokenizer.eos_token:
        return tokenizer
    special = [str(token) for token in tokenizer.get_added_vocab() if token != tokenizer.eos_token]
    named = [token for word in ("pad", "reserved") for token in special if word in token.lower()]
    unknown = [] if tokenizer.unk_token in (None, tokenizer.eos_token) else [str(tokenizer.unk_token)]
    spare = [*(token for token in named if "pad" in token.lower()), *unknown, *named]
    return with_pad_token(tokenizer, spare[0] if spare else "<|pad|>")


def _train(texts: Iterator[str], vocab_size: int, min_frequency: int, special_tokens: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[AddedToken(token, special=True) for token in special_tokens],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    bos_token = special_tokens[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos_token} $A", special_tokens=[(bos_token, tokenizer.token_to_id(bos_token))]
    )
    return tokenizer


def _first_bytes(texts: Sequence[str], max_bytes: int) -> Iterator[str]:
    """Whole documents until they exceed `max_bytes`; at least one."""
    size_bytes = 0
    for position, text in enumerate(texts):
        size_bytes += len(text.encode("utf-8", errors="surrogatepass"))
        if position and size_bytes > max_bytes:
            return
        yield text
