"""The wanted form of an answer in, compiled grammars out, for one model."""

import importlib.util
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerBase

from fgc_runtime.generate.guides import Grammar
from fgc_runtime.generate.vocabulary import added_tokens
from fgc_runtime.serve.call_formats import CallFormat, calls_structure
from fgc_runtime.serve.faults import invalid
from fgc_runtime.serve.structure import Structure, cannot_follow, either, marked
from fgc_runtime.serve.thoughts import AnswerStart, ThoughtFormat, behind_thoughts
from fgc_runtime.serve.tools import ToolWishes

if TYPE_CHECKING:
    from fgc_runtime.generate.grammar import Grammars

_NUM_KEPT = 64  # grammars that agents ask for again and again


class Structures:
    """Compiles what requests want; keeps what it compiled last. Used from one thread at a time."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, form: CallFormat, vocab_size: int, end_ids: frozenset[int]
    ) -> None:
        self.form = form
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._end_ids = end_ids
        self._added = {text: token for token, text in added_tokens(tokenizer).items()}
        self.shown_ids = self.ids_of(form.markers)
        self._grammars: Grammars | None = None
        self._kept: dict[str, Grammar] = {}

    def wanted(self, structure: Structure | None, tools: ToolWishes | None, *, head: str = "") -> Structure | None:
        """Returns what an answer must look like; None if it is free. `head` stands before one that is no call."""
        if structure is not None and head:
            rule = f"{marked(head, self._marker_token)} ({structure.rule})"
            structure = Structure(rule, structure.rules, structure.param)
        if tools is None or (tools.mode == "auto" and structure is None):
            return structure
        calls = calls_structure(
            self.form, tools.callable, is_parallel=tools.is_parallel, marker_token=self._marker_token
        )
        return calls if structure is None or tools.mode == "required" else either(structure, calls)

    def behind_thoughts(self, structure: Structure, form: ThoughtFormat, start: AnswerStart) -> Structure:
        """Returns the structure of an answer of a model that may think before it."""
        return behind_thoughts(structure, form, start, self._marker_token)

    def ids_of(self, markers: Iterable[str]) -> frozenset[int]:
        """Returns the tokens that are markers."""
        return frozenset(self._added[each] for each in markers if each in self._added)

    def compile(self, structure: Structure) -> Grammar:
        """Returns the grammar of a structure. Raises RequestError with the reason if it cannot be followed."""
        lark = structure.lark
        if lark not in self._kept:
            while len(self._kept) >= _NUM_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[lark] = self._compiled(structure, lark)
        return self._kept[lark]

    def _compiled(self, structure: Structure, lark: str) -> Grammar:
        if importlib.util.find_spec("llguidance") is None:
            message = f"'{structure.param}' needs llguidance, which the server's machine lacks: pip install llguidance."
            raise invalid(message, param=structure.param, code="unsupported_parameter")
        from fgc_runtime.generate.grammar import GrammarError, Grammars  # llguidance: only for who asks

        if self._grammars is None:
            self._grammars = Grammars(self._tokenizer, self._vocab_size, self._end_ids)
        try:
            return self._grammars.compile(lark)
        except GrammarError as error:
            raise cannot_follow(structure, str(error)) from None

    @property
    def _marker_token(self) -> Callable[[str], str | None]:
        """Lark's name of a token that no text is cut into, by its text."""
        return lambda text: f"<[{self._added[text]}]>" if text in self._added else None
