"""Checked prompts and messages in, token ids out: chat template, special tokens once, context length.

Chat templates run in transformers' jinja2 sandbox; they come with the model folder or from `--chat-template`. Only they
write control tokens: what a message spells is letters.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from fgc_runtime.data.control_tokens import ControlTokens, plain
from fgc_runtime.serve.faults import invalid, too_long
from fgc_runtime.serve.requests import Message
from fgc_runtime.serve.template import PLAIN


class PromptReader:
    """Encodes for one model. Used from one thread at a time.

    `chat_template` None means the plain one. A tokenizer without a Rust backend reads special tokens in messages too.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        context_length: int | None,
        vocab_size: int,
        chat_template: str | None,
    ) -> None:
        self.tokenizer = tokenizer
        self.context_length = context_length
        self.vocab_size = vocab_size
        self.chat_template = chat_template
        has_backend = getattr(tokenizer, "backend_tokenizer", None) is not None
        self._control_tokens = ControlTokens(tokenizer) if has_backend else None

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
        """Ids of a conversation; with a chat template it alone writes special tokens, without one no text does."""
        hidden = [self._hidden(_template_message(message)) for message in messages]
        try:
            text = self._render(hidden)
        except Exception as error:  # a template is a program of its own: whatever it raises, these messages made it
            message = f"The model's chat template refuses these messages: {plain(str(error))}"
            raise invalid(message, param="messages", code="chat_template_error") from None
        front = self._front(text) if self.chat_template is None else []
        return self._checked(front + self._encode_rendered(text), param="messages")

    def _hidden(self, message: dict[str, str]) -> dict[str, str]:
        return message if self._control_tokens is None else dict(self._control_tokens.hidden(message))

    def _render(self, messages: list[dict[str, str]]) -> str:
        rendered = self.tokenizer.apply_chat_template(
            messages,
            chat_template=self.chat_template or PLAIN,
            tokenize=False,
            add_generation_prompt=True,
        )
        return str(rendered)

    def _encode_rendered(self, text: str) -> list[int]:
        return self._encode_as_is(text) if self._control_tokens is None else self._control_tokens.encode(text).ids

    def _encode(self, text: str) -> list[int]:
        return self._front(text) + self._encode_as_is(text)

    def _front(self, text: str) -> list[int]:
        """The tokenizer's special tokens in front, none behind: a text that ended cannot be continued."""
        as_is = self._encode_as_is(text)
        ids = [int(i) for i in self.tokenizer.encode(text)]
        bos = self.tokenizer.bos_token_id
        if not as_is:
            return ids[:1] or ([] if bos is None else [int(bos)])
        front = next((n for n in range(len(ids) - len(as_is) + 1) if ids[n : n + len(as_is)] == as_is), 0)
        brings_its_own = front == 1 and ids[0] == bos and as_is[0] == bos
        return [] if brings_its_own else ids[:front]

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
