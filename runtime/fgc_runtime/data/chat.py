"""Encodes conversations with a chat template, and marks the tokens that the assistant says."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

from fgc_runtime.data.chat_templates import read_template
from fgc_runtime.data.control_tokens import ControlTokens, plain
from fgc_runtime.data.encoding import Encoded, Marks

_SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "observation": "tool"}
Conversation = Sequence[Mapping[str, Any]]


class ChatEncoder:
    """Encodes lists of messages; only the assistant's turns are learnt, including the ends of turns.

    A message has `role` and `content`, or ShareGPT's `from` and `value`.

    A template with `{% generation %}` marks the assistant's tokens itself. With any other template, a turn is the text
    that the conversation up to its end adds to the earlier conversation with the generation prompt. The turn ends with
    its last special token, which the model has to learn. `train_on` "last" learns only the assistant's last turn, "all"
    everything. A turn with `weight` 0 is not learnt. `chat_template` is a template, the path of a file
    that ends in `.jinja`, or one of the names `chatml` and `plain`; by default it is the tokenizer's own.

    Special tokens are the template's alone: a message that spells `<|im_end|>` holds these letters, and ends no turn.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        *,
        chat_template: str | None = None,
        train_on: Literal["assistant", "last", "all"] = "assistant",
    ) -> None:
        template = read_template(chat_template) if chat_template is not None else tokenizer.chat_template
        if template is None:
            raise ValueError("tokenizer must have a chat_template; or give one: chat_template")
        if train_on not in ("assistant", "last", "all"):
            raise ValueError(f"train_on ({train_on!r}) must be one of assistant, last, all")
        self._tokenizer = tokenizer
        self._template = str(template)
        self._train_on = train_on
        self._says_itself = re.search(r"\{%-?\s*generation\b", self._template) is not None
        self._special = set(tokenizer.all_special_ids)
        self._control_tokens = ControlTokens(tokenizer)

    @property
    def key(self) -> str:
        """Returns a text that identifies the tokenizer, the template and all settings."""
        # templates print them, and the backend does not know which of them ends a text
        special = self._tokenizer.special_tokens_map
        return json.dumps([self._tokenizer.backend_tokenizer.to_str(), special, self._template, self._train_on])

    def encode(self, documents: Sequence[Conversation]) -> list[Encoded]:
        """Returns each conversation's ids. Raises ValueError, naming conversation and turn, if a turn is not found."""
        return [self._encode(_checked(document)) for document in documents]

    def render(self, conversation: Conversation, *, add_generation_prompt: bool = False) -> str:
        """Returns the text that the template renders for a conversation."""
        return plain(self._rendered(self._hidden(conversation), add_generation_prompt=add_generation_prompt)[0])

    def _encode(self, conversation: Conversation) -> Encoded:
        hidden = self._hidden(conversation)
        text, spans = self._rendered(hidden)
        tokens = self._control_tokens.encode(text)
        ids = numpy.array(tokens.ids, dtype=numpy.int32)
        if self._train_on == "all":
            return Encoded(ids)
        marks = numpy.zeros(len(ids), dtype=numpy.bool_)
        learnt = self._learnt(conversation)
        found = self._own_spans(hidden, spans) if self._says_itself else self._spans(hidden, text)
        for (first, last), is_learnt in zip(found, learnt, strict=True):
            if is_learnt:
                turn = _tokens_within(text, tokens.offsets, first, last)
                marks |= turn if self._says_itself else self._up_to_its_end(tokens.ids, turn)
        return Encoded(ids, marks)

    def _learnt(self, conversation: Conversation) -> list[bool]:
        """Returns, for each of the assistant's turns, if it is learnt. Raises ValueError if there is no turn."""
        turns = [message for message in conversation if message["role"] == "assistant"]
        if not turns:
            roles = ", ".join(dict.fromkeys(str(message["role"]) for message in conversation))
            raise ValueError(
                f"conversation {_excerpt(conversation)} has no turn of the assistant (its roles: {roles}), so there is "
                "nothing to learn: leave it out, or learn everything with train_on: all"
            )
        for message in turns:
            if message.get("weight") not in (None, 0, 1):
                raise ValueError(f"conversation {_excerpt(conversation)}: weight ({message['weight']}) must be 0 or 1")
        learnt = [message.get("weight") != 0 for message in turns]
        return [False] * (len(turns) - 1) + learnt[-1:] if self._train_on == "last" else learnt

    def _own_spans(self, conversation: Conversation, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Checks the spans that the template marks. Raises ValueError unless there is one per turn of the assistant."""
        num_turns = sum(message["role"] == "assistant" for message in conversation)
        if len(spans) != num_turns:
            raise ValueError(
                f"conversation {_excerpt(conversation)} has {num_turns} turns of the assistant, and the chat template "
                f"marks {len(spans)} with {{% generation %}}: put it around each of them"
            )
        return spans

    def _hidden(self, conversation: Conversation) -> list[dict[str, Any]]:
        return [self._control_tokens.hidden(message) for message in conversation]

    def _rendered(
        self, hidden: Conversation, *, add_generation_prompt: bool = False
    ) -> tuple[str, list[tuple[int, int]]]:
        """Returns the text with marks, and the ranges in characters that the template marks as the assistant's."""
        render: Any = render_jinja_template  # its annotations say that it returns a string
        texts, spans = render(
            [hidden],
            chat_template=self._template,
            return_assistant_tokens_mask=self._says_itself,
            add_generation_prompt=add_generation_prompt,
            **self._tokenizer.special_tokens_map,
        )
        return texts[0], spans[0] if spans else []

    def _spans(self, conversation: Conversation, text: str) -> list[tuple[int, int]]:
        """Returns the ranges of the assistant's turns in the text, in characters."""
        spans = []
        for turn, message in enumerate(conversation):
            if message["role"] != "assistant":
                continue
            before, _ = self._rendered(conversation[:turn], add_generation_prompt=True)
            upto, _ = self._rendered(conversation[: turn + 1])
            if not (upto.startswith(before) and text.startswith(upto)):
                raise ValueError(
                    f"conversation {_excerpt(conversation)}, turn {turn}: the chat template renders what comes before "
                    "a turn differently once the turn is there, so its tokens cannot be told from the others'; give a "
                    "chat_template that puts {% generation %} ... {% endgeneration %} around the assistant's words"
                )
            spans.append((len(before), len(upto)))
        return spans

    def _up_to_its_end(self, ids: Sequence[int], turn: Marks) -> Marks:
        """Returns the marks of a turn up to the special token that ends it; later tokens are not said by anyone."""
        special = [place for place in numpy.flatnonzero(turn).tolist() if ids[place] in self._special]
        if special:
            turn[special[-1] + 1 :] = False
        return turn


def _tokens_within(text: str, offsets: Sequence[tuple[int, int]], first: int, last: int) -> Marks:
    """Returns marks on the tokens of a turn, including one with a leading space: ` Hello` after `assistant:`."""
    is_within = [
        end <= last and (first <= begin < end or (begin < first < end and text[begin:first].isspace()))
        for begin, end in offsets
    ]
    return numpy.array(is_within, dtype=numpy.bool_)


def _checked(conversation: object) -> Conversation:
    is_list = isinstance(conversation, Sequence) and not isinstance(conversation, str) and len(conversation) > 0
    messages: Sequence[Any] = conversation if is_list else ()  # type: ignore[assignment]
    if not messages or not all(isinstance(message, Mapping) for message in messages):
        raise TypeError(f"a conversation must be a list of messages with role and content, not {conversation!r:.80}")
    messages = [_as_role_and_content(message) for message in messages]
    for turn, message in enumerate(messages):
        if "role" not in message:
            raise ValueError(
                f"conversation {_excerpt(messages)}, turn {turn} has no role; it has: {', '.join(message)}"
            )
    return messages


def _as_role_and_content(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a message of ShareGPT (`from`, `value`) with `role` and `content`."""
    if "role" in message or not {"from", "value"} <= message.keys():
        return message
    others = {name: value for name, value in message.items() if name not in ("from", "value")}
    return {"role": _SHAREGPT_ROLES.get(message["from"], message["from"]), "content": message["value"], **others}


def _excerpt(conversation: Conversation) -> str:
    """Returns the beginning of a conversation, enough to find it."""
    text = str(conversation[0].get("content", conversation[0]))
    return repr(text if len(text) <= 60 else text[:60] + "...")
