"""A tokenizer, asked for what decoding needs: text, special tokens, the exact bytes of one token."""

import copy
import re
from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from fgc_runtime.generate.detokenizer import Vocabulary

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """A view that one other thread may use while the tokenizer encodes in this one."""
    special = {int(i): str(tokenizer.convert_ids_to_tokens(i)) for i in tokenizer.all_special_ids}
    return Vocabulary(_decoder(tokenizer), special)


def _decoder(tokenizer: PreTrainedTokenizerBase) -> Callable[[Sequence[int]], str]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        own = copy.deepcopy(backend)  # the Rust object raises "already borrowed" if two threads change its settings
        return lambda ids: str(own.decode(list(ids), skip_special_tokens=True))
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def token_bytes(tokenizer: PreTrainedTokenizerBase, token: int) -> bytes:
    """The bytes that a token stands for; a part of a character for some tokens of byte-level vocabularies."""
    name = str(tokenizer.convert_ids_to_tokens(token) or "")  # None beyond the tokenizer: padding of the model
    if not name or token in tokenizer.all_special_ids:
        return name.encode()
    if match := _BYTE_TOKEN.fullmatch(name):
        return bytes([int(match[1], 16)])
    text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    if "\N{REPLACEMENT CHARACTER}" in text and all(char in _BYTE_OF_CHAR for char in name):
        return bytes(_BYTE_OF_CHAR[char] for char in name)
    return str(text).encode()


def _byte_level_alphabet() -> dict[str, int]:
    """The characters that byte-level vocabularies write bytes with (GPT-2; Radford et al. 2019)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHAR = _byte_level_alphabet()
