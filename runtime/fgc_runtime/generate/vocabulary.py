"""A tokenizer, asked for what decoding needs: text, special tokens, the exact bytes of one token."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence

from transformers import PreTrainedTokenizerBase

from fgc_runtime.generate.detokenizer import Vocabulary

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """A view that one other thread may use while the tokenizer encodes in this one."""
    return Vocabulary(_decoder(tokenizer), special_tokens(tokenizer))


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Returns the text of each special token, also of those that have no role (`<|eot_id|>`, `[TOOL_CALLS]`)."""
    marked = {int(i): str(token.content) for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return marked | {int(i): str(tokenizer.convert_ids_to_tokens(i)) for i in tokenizer.all_special_ids}


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Returns the text of each token that texts are cut at, special or not (Qwen's `<tool_call>` is not)."""
    added = {int(i): str(token.content) for i, token in tokenizer.added_tokens_decoder.items()}
    return special_tokens(tokenizer) | added


def _decoder(tokenizer: PreTrainedTokenizerBase) -> Callable[[Sequence[int]], str]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        own = copy.deepcopy(backend)  # the Rust object raises "already borrowed" if two threads change its settings
        return lambda ids: str(own.decode(list(ids), skip_special_tokens=True))
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def token_bytes(tokenizer: PreTrainedTokenizerBase, token: int, special: Mapping[int, str]) -> bytes:
    """Returns the bytes that a token stands for within a text; a part of a character for some byte-level tokens."""
    name = str(tokenizer.convert_ids_to_tokens(token) or "")  # None beyond the tokenizer: padding of the model
    if not name or token in special:
        return name.encode()
    if match := _BYTE_TOKEN.fullmatch(name):
        return bytes([int(match[1], 16)])
    alone, twice = (_decoded(tokenizer, [token] * count) for count in (1, 2))
    if "\N{REPLACEMENT CHARACTER}" in alone and all(char in _BYTE_OF_CHAR for char in name):
        return bytes(_BYTE_OF_CHAR[char] for char in name)
    within = twice[len(alone) :] if twice.startswith(alone) else alone  # a text's first token can lose its space
    return within.encode()


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _byte_level_alphabet() -> dict[str, int]:
    """The characters that byte-level vocabularies write bytes with (GPT-2; Radford et al. 2019)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHAR = _byte_level_alphabet()
