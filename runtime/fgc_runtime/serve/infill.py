"""The texts before and after a gap in, the prompt of a model that fills gaps out: by the tokens it was trained with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Tokens before the prefix, between and behind, by family; the first whose three the vocabulary has.
_ORDERS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen 2.5 Coder, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # Code Llama
    ("<PRE>", "<SUF>", "<MID>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
)
_SUFFIX_FIRST = ("[SUFFIX]", "[PREFIX]")  # Codestral: nothing stands behind the prefix
# What such a model writes when the gap is filled.
_ENDS = ("▁<EOT>", "<EOT>", "<|fim_pad|>", "<|file_sep|>", "<|file_separator|>", "<file_sep>", "<|endoftext|>")


@dataclass(frozen=True, slots=True)
class Infill:
    """The ids of one tokenizer's infill tokens; without `after` the suffix comes first."""

    before: int
    between: int
    after: int | None
    ends: frozenset[int]

    def prompt(self, prefix: Sequence[int], suffix: Sequence[int]) -> list[int]:
        """Returns what a model reads before it fills the gap."""
        if self.after is None:
            return [self.before, *suffix, self.between, *prefix]
        return [self.before, *prefix, self.between, *suffix, self.after]


def infill_of(vocabulary: Mapping[str, int]) -> Infill | None:
    """Returns a vocabulary's infill tokens, if it has some."""
    ends = frozenset(vocabulary[name] for name in _ENDS if name in vocabulary)
    for names in _ORDERS:
        if all(name in vocabulary for name in names):
            before, between, after = (vocabulary[name] for name in names)
            return Infill(before, between, after, ends)
    if all(name in vocabulary for name in _SUFFIX_FIRST):
        before, between = (vocabulary[name] for name in _SUFFIX_FIRST)
        return Infill(before, between, None, ends)
    return None
