"""Detokenizing token by token gives the tokenizer's own text, and no half characters on the way."""

import pytest
from fgc_runtime.generate.detokenizer import Detokenizer, Vocabulary
from fgc_runtime.generate.vocabulary import special_tokens, token_bytes, vocabulary_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from tests.runtime.serve.conftest import make_tokenizer


def pieces(vocabulary: Vocabulary, ids: list[int]) -> list[str]:
    detokenizer = Detokenizer(vocabulary)
    return [*(detokenizer.push(token) for token in ids), detokenizer.flush()]


@pytest.fixture(scope="module")
def vocabulary(tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
    return vocabulary_of(tokenizer)


@given(text=st.text(max_size=30))
@settings(deadline=None)
def test_text_comes_back_without_replacement_characters(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    vocabulary = vocabulary_of(tokenizer)
    ids = tokenizer.encode(text.replace("\ufffd", ""), add_special_tokens=False)
    given_out = pieces(vocabulary, ids)
    assert "".join(given_out) == text.replace("\ufffd", "")
    assert not any("\ufffd" in piece for piece in given_out)


@given(ids=st.lists(st.integers(4, 379), max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_tokens_give_the_tokenizers_text(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> None:
    assert "".join(pieces(vocabulary_of(tokenizer), ids)) == tokenizer.decode(ids)


@given(raw=st.binary(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_give_the_tokenizers_text(tokenizer: PreTrainedTokenizerFast, raw: bytes) -> None:
    id_of_byte = {token_bytes(tokenizer, i, special_tokens(tokenizer)): i for i in range(4, 260)}
    ids = [id_of_byte[bytes([byte])] for byte in raw]
    assert "".join(pieces(vocabulary_of(tokenizer), ids)) == raw.decode(errors="replace")


def test_a_character_of_four_byte_tokens_comes_whole(
    vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerFast
) -> None:
    id_of_byte = {token_bytes(tokenizer, i, special_tokens(tokenizer)): i for i in range(4, 260)}
    ids = [id_of_byte[bytes([byte])] for byte in "🚀".encode()]
    assert pieces(vocabulary, ids) == ["", "", "", "🚀", ""]


def test_an_open_character_is_shown_as_replacement_at_the_end(
    vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerFast
) -> None:
    id_of_byte = {token_bytes(tokenizer, i, special_tokens(tokenizer)): i for i in range(4, 260)}
    assert pieces(vocabulary, [id_of_byte[b"\xf0"]]) == ["", "\ufffd"]


def test_the_space_before_a_word_piece_survives() -> None:
    """Sentencepiece decoders strip the first space; the context keeps it."""
    core = Tokenizer(models.BPE({"▁Hello": 0, "▁world": 1}, []))
    core.decoder = decoders.Sequence([decoders.Metaspace()])
    vocabulary = vocabulary_of(PreTrainedTokenizerFast(tokenizer_object=core))
    assert pieces(vocabulary, [0, 1]) == ["Hello", " world", ""]
    assert Detokenizer(vocabulary, context=[0]).push(1) == " world"


def test_byte_fallback_tokens_make_one_character() -> None:
    core = Tokenizer(models.BPE({"<0xE4>": 0, "<0xBD>": 1, "<0xA0>": 2, "a": 3}, []))
    core.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    assert pieces(vocabulary_of(tokenizer), [3, 0, 1, 2, 3]) == ["a", "", "", "你", "a", ""]
    assert token_bytes(tokenizer, 0, {}) == b"\xe4"


def test_token_bytes_joined_are_the_text(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "Käse 你好 🙂 \t once"
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert b"".join(token_bytes(tokenizer, token, special_tokens(tokenizer)) for token in ids).decode() == text


def test_the_space_of_a_word_piece_is_one_of_its_bytes() -> None:
    """Joined, the bytes that log probabilities report are the text."""
    core = Tokenizer(models.BPE({"▁a": 0, "▁b": 1, "c": 2, "▁": 3, "<s>": 4}, []))
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>")
    special = special_tokens(tokenizer)
    assert [token_bytes(tokenizer, i, special) for i in range(5)] == [b" a", b" b", b"c", b" ", b"<s>"]


def test_special_tokens_without_a_role_are_special() -> None:
    """Llama 3's `<|eot_id|>` and Mistral's `[TOOL_CALLS]` are neither the end nor the beginning of a text."""
    tokenizer = make_tokenizer(["[TOOL_CALLS]"])
    vocabulary, token = vocabulary_of(tokenizer), tokenizer.convert_tokens_to_ids("[TOOL_CALLS]")
    assert token not in tokenizer.all_special_ids
    assert vocabulary.special[token] == "[TOOL_CALLS]" and vocabulary.decode([token]) == ""
