"""Checked prompts and messages in, token ids out: chat template, special tokens once, context length.

Chat templates run in transformers' jinja2 sandbox; they come with the model folder or from `--chat-template`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from fgc_runtime.serve.faults import invalid, too_long
from fgc_runtime.serve.requests import Message
from fgc_runtime.serve.template import PLAIN


@dataclass(frozen=True, slots=True)
class PromptReader:
    """Encodes for one model. Used from one thread at a time."""

    tokenizer: PreTrainedTokenizerBase
    context_length: int | None
    vocab_size: int
    chat_template: str | None  # None: the plain one

    def completion(self, prompt: str | tuple[int, ...]) -> tuple[int, ...]:
        """Ids of a prompt; a string gets the special tokens that the tokenizer begins a text with."""
        if isinstance(prompt, str):
            return self._checked(self._encode(prompt), param="prompt")
        for token in prompt:
            if not 0 <= token < self.vocab_size:
                message = f"Invalid 'prompt': token id {token} is not in the vocabulary of {self.vocab_size}."
                raise invalid(message, param="prompt", code="invalid_token_id")
        return self._checked(list(prompt), param="prompt")

    def chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Ids of a conversation; with a chat template it alone writes special tokens."""
        try:
            text = self._render(messages)
        except Exception as error:  # a template is a program of its own: whatever it raises, these messages made it
            message = f"The model's chat template refuses these messages: {error}"
            raise invalid(message, param="messages", code="chat_template_error") from None
        ids = self._encode(text) if self.chat_template is None else self._encode_as_is(text)
        return self._checked(ids, param="messages")

    def _render(self, messages: Sequence[Message]) -> str:
        rendered = self.tokenizer.apply_chat_template(
            [_template_message(message) for message in messages],
            chat_template=self.chat_template or PLAIN,
            tokenize=False,
            add_generation_prompt=True,
        )
        return str(rendered)

    def _encode(self, text: str) -> list[int]:
        """With the tokenizer's special tokens in front, never behind: a text that ended cannot be continued."""
        plain = self._encode_as_is(text)
        ids = [int(i) for i in self.tokenizer.encode(text)]
        front = next((n for n in range(len(ids) - len(plain) + 1) if ids[n : n + len(plain)] == plain), 0)
        bos = self.tokenizer.bos_token_id
        if front == 1 and ids[0] == bos and plain[:1] == [bos]:  # the text brings its own
            front = 0
        if not plain:
            return ids[:1] or ([] if bos is None else [int(bos)])
        return ids[:front] + plain

    def _encode_as_is(self, text: str) -> list[int]:
        return [int(i) for i in self.tokenizer.encode(text, add_special_tokens=False)]

    def _checked(self, ids: list[int], *, param: str) -> tuple[int, ...]:
        if not ids:
            raise invalid(f"Invalid '{param}': it has no tokens.", param=param, code="empty_string")
        if self.context_length is not None and len(ids) > self.context_length:
            raise too_long(self.context_length, len(ids), param=param)
        return tuple(ids)


def _template_message(message: Message) -> dict[str, str]:
    role = "system" if message.role == "developer" else message.role
    named = {"role": role, "content": message.content}
    return named if message.name is None else named | {"name": message.name}
