"""A tokenizer to the key-value pairs of a GGUF file.

llama.cpp does not read tokenizer.json: it has the rules by which texts are cut in its program, and the file names one
of them (`tokenizer.ggml.pre`). A rule that it has not would cut texts otherwise, without a word; so it is refused here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
from transformers import PreTrainedTokenizerBase

from fgc_runtime.convert.faults import ConvertError

_NORMAL, _UNKNOWN, _CONTROL = gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL
_USER, _UNUSED, _BYTE = gguf.TokenType.USER_DEFINED, gguf.TokenType.UNUSED, gguf.TokenType.BYTE
_IS_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_NUM_BYTES = 256

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_GPT2_OLD = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_ENDS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _ENDS
_QWEN2 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _ENDS
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORDS = r"[^\r\n\p{L}\p{N}]?"
_ENDS_SLASH = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = rf"{_WORDS}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_WORDS}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
_GPT4O = rf"{_CASED}|\p{{N}}{{1,3}}{_ENDS_SLASH}"
_TEKKEN = rf"{_WORDS}{_UPPER}*{_LOWER}+|{_WORDS}{_UPPER}+{_LOWER}*|\p{{N}}{_ENDS_SLASH}"
# the rule's regular expression, and whether a word that is a token is taken whole (`ignore_merges`)
_RULES: Mapping[tuple[str, bool], str] = {
    (_GPT2, False): "gpt-2",
    (_GPT2_OLD, False): "gpt-2",
    (_LLAMA3, True): "llama-bpe",
    (_LLAMA3, False): "smaug-bpe",
    (_QWEN2, False): "qwen2",
    (_GPT4O, False): "gpt-4o",
    (_TEKKEN, True): "tekken",
}
RULE_NAMES = tuple(sorted({*_RULES.values(), "starcoder", "default"}))


@dataclass(slots=True)
class Vocabulary:
    """Holds what a file says of a tokenizer: pairs of key and value, and sentences that a user should know."""

    pairs: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def vocabulary_of(
    tokenizer: PreTrainedTokenizerBase, folder: Path, *, num_rows: int, rule: str | None = None
) -> Vocabulary:
    """A folder's tokenizer for a model of `num_rows` tokens; `rule` names llama.cpp's rule where it is not known.

    Raises ConvertError for what llama.cpp has not.
    """
    data = _read(folder / "tokenizer.json", tokenizer)
    kind = data.get("model", {}).get("type")
    if kind != "BPE":
        raise ConvertError(
            f"the tokenizer is a {kind}; to GGUF go BPE tokenizers, of bytes or as SentencePiece has them"
        )
    if len(tokenizer) > num_rows:
        raise ConvertError(f"the tokenizer has {len(tokenizer)} tokens, the model rows for {num_rows}")
    found = Vocabulary()
    if data["model"].get("byte_fallback"):
        _sentencepiece(data, tokenizer, num_rows, found)
    else:
        _bytes(data, tokenizer, num_rows, rule, found)
    _special(tokenizer, folder, found)
    _templates(tokenizer, found)
    return found


def _read(file: Path, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConvertError(f"{file} is missing: the tokenizer has no fast form")
    data: dict[str, Any] = json.loads(backend.to_str())
    return data


def _bytes(
    data: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, num_rows: int, rule: str | None, found: Vocabulary
) -> None:
    tokens, kinds = _tokens(data, tokenizer, num_rows)
    found.pairs[gguf.Keys.Tokenizer.MODEL] = "gpt2"
    found.pairs[gguf.Keys.Tokenizer.PRE] = rule or _rule(data, found)
    found.pairs[gguf.Keys.Tokenizer.LIST] = tokens
    found.pairs[gguf.Keys.Tokenizer.TOKEN_TYPE] = [int(kind) for kind in kinds]
    merges = data["model"]["merges"]
    found.pairs[gguf.Keys.Tokenizer.MERGES] = [each if isinstance(each, str) else " ".join(each) for each in merges]


def _sentencepiece(
    data: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, num_rows: int, found: Vocabulary
) -> None:
    """llama.cpp joins the pair whose token has the highest score; here merges have an order, which becomes scores."""
    tokens, kinds = _tokens(data, tokenizer, num_rows)
    if kinds.count(_BYTE) < _NUM_BYTES:
        raise ConvertError(
            f"the tokenizer falls back to bytes and has {kinds.count(_BYTE)} of their {_NUM_BYTES} tokens: "
            "llama.cpp does not load it"
        )
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(data["model"]["merges"]):
        joined = merge.replace(" ", "", 1) if isinstance(merge, str) else "".join(merge)
        ranks.setdefault(joined, rank)
    worst = float(-len(ranks) - 1)
    scores = [float(-ranks[token]) if token in ranks else worst for token in tokens]
    found.pairs[gguf.Keys.Tokenizer.MODEL] = "llama"
    found.pairs[gguf.Keys.Tokenizer.PRE] = "default"
    found.pairs[gguf.Keys.Tokenizer.LIST] = tokens
    found.pairs[gguf.Keys.Tokenizer.SCORES] = scores
    found.pairs[gguf.Keys.Tokenizer.TOKEN_TYPE] = [int(kind) for kind in kinds]
    found.pairs[gguf.Keys.Tokenizer.ADD_PREFIX] = _adds_space(data, found)


def _tokens(
    data: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, num_rows: int
) -> tuple[list[str], list[gguf.TokenType]]:
    """Texts and kinds of all rows; rows without a token get a text that no tokenizer has."""
    added = {int(entry["id"]): entry for entry in data.get("added_tokens", ())}
    known = {int(number): text for text, number in data["model"]["vocab"].items()}
    has_bytes = bool(data["model"].get("byte_fallback"))
    tokens, kinds = [], []
    for number in range(num_rows):
        if number in added:
            entry = added[number]
            is_unknown = has_bytes and number == tokenizer.unk_token_id
            tokens.append(entry["content"])
            kinds.append(_UNKNOWN if is_unknown else _CONTROL if entry["special"] else _USER)
        elif number in known:
            text = known[number]
            tokens.append(text)
            kinds.append(_BYTE if has_bytes and _IS_BYTE.fullmatch(text) else _NORMAL)
        else:
            tokens.append(f"[PAD{number}]")
            kinds.append(_UNUSED)
    return tokens, kinds


def _rule(data: Mapping[str, Any], found: Vocabulary) -> str:
    """The name of the rule by which texts are cut into words. Raises ConvertError for one that llama.cpp has not."""
    _check_normalizer(data.get("normalizer"), found)
    steps = _steps(data.get("pre_tokenizer"))
    takes_whole = bool(data["model"].get("ignore_merges"))
    if any(step.get("add_prefix_space") for step in steps):
        raise ConvertError("the tokenizer puts a space before a text (add_prefix_space); llama.cpp does not")
    match [step["type"] for step in steps]:
        case ["ByteLevel"] if steps[0].get("use_regex", True):
            expression = _GPT2
        case ["Split", "ByteLevel"] if not steps[1].get("use_regex", True) and _is_isolated(steps[0]):
            expression = str(steps[0]["pattern"].get("Regex"))
        case ["Digits", "ByteLevel"] if steps[0].get("individual_digits") and steps[1].get("use_regex", True):
            if not takes_whole:
                return "starcoder"
            expression = ""
        case _:
            expression = ""
    name = _RULES.get((expression, takes_whole))
    if name is None:
        raise ConvertError(
            "the tokenizer cuts texts into words by a rule that is not known to be llama.cpp's: "
            f"{json.dumps(data.get('pre_tokenizer'))[:300]}. If it is one of {', '.join(RULE_NAMES)} or another of "
            "llama.cpp's, name it: --gguf-pre NAME"
        )
    return name


def _is_isolated(step: Mapping[str, Any]) -> bool:
    """Returns True for a step whose matches are words, and what lies between them too."""
    return (step["behavior"], step["invert"]) in (("Isolated", False), ("Removed", True))


def _steps(pre_tokenizer: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if pre_tokenizer is None:
        return []
    if pre_tokenizer["type"] == "Sequence":
        return [step for each in pre_tokenizer["pretokenizers"] for step in _steps(each)]
    return [pre_tokenizer]


def _check_normalizer(normalizer: Mapping[str, Any] | None, found: Vocabulary) -> None:
    if normalizer is None or (normalizer["type"] == "Sequence" and not normalizer["normalizers"]):
        return
    if normalizer["type"] != "NFC":
        raise ConvertError(f"the tokenizer changes texts first ({normalizer['type']}); llama.cpp does not")
    found.notes.append("llama.cpp does not compose characters (NFC) as this tokenizer does: give it composed texts")


def _adds_space(data: Mapping[str, Any], found: Vocabulary) -> bool:
    """Returns whether a text begins with a space. Raises ConvertError for what is not as SentencePiece has it."""
    normalizers = _normalizers(data.get("normalizer"))
    steps = _steps(data.get("pre_tokenizer"))
    kinds = {each["type"] for each in normalizers}
    if not kinds <= {"Prepend", "Replace"} or not {step["type"] for step in steps} <= {"Metaspace", "Split"}:
        raise ConvertError(
            "the tokenizer has a byte_fallback, but changes texts otherwise than SentencePiece does: "
            f"{json.dumps([data.get('normalizer'), data.get('pre_tokenizer')])[:300]}"
        )
    metaspace = next((step for step in steps if step["type"] == "Metaspace"), {})
    scheme = metaspace.get("prepend_scheme", "never")
    if scheme == "first":
        found.notes.append("llama.cpp puts a space behind special tokens too, this tokenizer only before a text")
    return "Prepend" in kinds or scheme in ("always", "first")


def _normalizers(normalizer: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if normalizer is None:
        return
    if normalizer["type"] == "Sequence":
        for each in normalizer["normalizers"]:
            yield from _normalizers(each)
    else:
        yield normalizer


def _special(tokenizer: PreTrainedTokenizerBase, folder: Path, found: Vocabulary) -> None:
    """Notes which tokens begin, end and fill texts, and which of them the tokenizer puts there itself."""
    keys = gguf.Keys.Tokenizer
    ids = {keys.BOS_ID: tokenizer.bos_token_id, keys.EOS_ID: tokenizer.eos_token_id}
    ids |= {keys.UNK_ID: tokenizer.unk_token_id, keys.PAD_ID: tokenizer.pad_token_id}
    if (other := _other_end(folder, tokenizer.eos_token_id)) is not None:
        ids[keys.EOT_ID] = other
    found.pairs |= {key: int(value) for key, value in ids.items() if isinstance(value, int)}
    bare = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a")["input_ids"])
    begins = whole[:1] == [tokenizer.bos_token_id] and whole != bare
    ends = whole[-1:] == [tokenizer.eos_token_id] and whole != bare
    expected = [tokenizer.bos_token_id] * begins + bare + [tokenizer.eos_token_id] * ends
    if whole != expected:
        raise ConvertError("the tokenizer puts other tokens around a text than its bos_token and eos_token")
    found.pairs[keys.ADD_BOS], found.pairs[keys.ADD_EOS] = begins, ends


def _other_end(folder: Path, end: int | None) -> int | None:
    """A token that ends texts besides the tokenizer's, by the generation configuration."""
    try:
        known = json.loads((folder / "generation_config.json").read_text(encoding="utf-8")).get("eos_token_id")
    except (OSError, ValueError):
        return None
    several = known if isinstance(known, list) else [known]
    return next((each for each in several if isinstance(each, int) and each != end), None)


def _templates(tokenizer: PreTrainedTokenizerBase, found: Vocabulary) -> None:
    brought: object = tokenizer.chat_template
    if isinstance(brought, str) and brought:
        found.pairs[gguf.Keys.Tokenizer.CHAT_TEMPLATE] = brought
    elif isinstance(brought, dict) and brought:
        default = str(brought.get("default") or brought[min(brought)])
        found.pairs[gguf.Keys.Tokenizer.CHAT_TEMPLATE] = default
        found.notes.append("of several chat templates the file has the default one")
