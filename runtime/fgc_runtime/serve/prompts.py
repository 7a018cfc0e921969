"""Checked prompts and messages in, token ids out: chat template, special tokens once, context length.

Chat templates run in transformers' jinja2 sandbox; they come with the model folder or from `--chat-template`. Only they
write control tokens: what a message spells is letters.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from fgc_runtime.data.control_tokens import ControlTokens, plain
from fgc_runtime.generate.vocabulary import special_tokens
from fgc_runtime.serve.encoder import OutOfTimeError, at_most
from fgc_runtime.serve.faults import invalid, too_long
from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.infill import infill_of
from fgc_runtime.serve.messages import Conversation, Message
from fgc_runtime.serve.template import PLAIN
from fgc_runtime.serve.thought_formats import thoughts_of
from fgc_runtime.serve.thoughts import AnswerStart
from fgc_runtime.serve.tool_prompt import with_tools_told

_PROBE = "a"
_USUAL_CHARS = 8  # of a token: twice those of English and code
_NUM_AT_CUT = 16  # tokens that a cut in a word can add
_NUM_AT_END = 16  # tokens of a prompt's end that show what the template opened


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
        template_seconds: float = 10.0,
    ) -> None:
        self.tokenizer = tokenizer
        self.context_length = context_length
        self.vocab_size = vocab_size
        self.chat_template = chat_template
        self.template_seconds = template_seconds
        has_backend = getattr(tokenizer, "backend_tokenizer", None) is not None
        self._control_tokens = ControlTokens(tokenizer) if has_backend else None
        self._front = self._find_front()
        vocabulary = tokenizer.get_vocab()
        self._longest = max(map(len, vocabulary), default=1)  # characters of one token
        self.infill = infill_of(vocabulary)
        self.thoughts = thoughts_of(chat_template)

    def check_size(self, num_chars: int, *, param: str) -> None:
        """Refuse what cannot fit whatever it spells, before any work is done. Raises RequestError."""
        if self.context_length is not None and num_chars > self.context_length * self._longest:
            raise too_long(self.context_length, num_chars // self._longest, param=param, is_least=True)

    def completion(self, prompt: str | tuple[int, ...], *, is_begun: bool = True) -> tuple[int, ...]:
        """Ids of a prompt; a string gets the special tokens that the tokenizer begins a text with, if `is_begun`."""
        if isinstance(prompt, str):
            self._refuse_long(prompt, param="prompt")
            return self._checked(self.text_tokens(prompt, is_begun=is_begun), param="prompt")
        self._checked(prompt, param="prompt")
        for token in prompt:
            if not 0 <= token < self.vocab_size:
                message = f"Invalid 'prompt': token id {token} is not in the vocabulary of {self.vocab_size}."
                raise invalid(message, param="prompt", code="invalid_token_id")
        return prompt

    def gap(self, prompt: str | tuple[int, ...], suffix: str, *, is_begun: bool = True) -> tuple[int, ...]:
        """Ids of a text with a gap between `prompt` and `suffix`, for a model that fills it. Raises RequestError."""
        if self.infill is None:
            message = "'suffix' is not supported: the model's tokenizer has no infill tokens."
            raise invalid(message, param="suffix", code="unsupported_parameter")
        for text, param in ((prompt, "prompt"), (suffix, "suffix")):
            if isinstance(text, str):
                self._refuse_long(text, param=param)
        prefix = self._encode_as_is(prompt) if isinstance(prompt, str) else self.completion(prompt)
        ids = self.infill.prompt(prefix, self._encode_as_is(suffix))
        return self._checked(self._begun(ids) if is_begun else ids, param="prompt")

    def embedding(self, text: str | tuple[int, ...]) -> tuple[int, ...]:
        """Ids of a text with all special tokens around it, as the tokenizer sets them."""
        if not isinstance(text, str):
            return self.completion(text)
        self._refuse_long(text, param="input")
        return self._checked([int(i) for i in self.tokenizer.encode(text)], param="input")

    def description(self) -> dict[str, object]:
        """Returns what a client needs to know to make prompts itself."""
        tokenizer = self.tokenizer
        return {
            "tokenizer_class": type(tokenizer).__name__,
            "vocab_size": self.vocab_size,
            "model_max_length": self.context_length,
            **{name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
            "additional_special_tokens": list(special_tokens(tokenizer).values()),
            "chat_template": self.chat_template,
        }

    def chat(self, conversation: Conversation) -> tuple[int, ...]:
        """Ids of a conversation; with a chat template it alone writes special tokens, without one no text does."""
        messages = conversation.messages
        if conversation.tools and not self.tells_tools:
            messages = with_tools_told(messages, conversation.tools)
        if "reasoning_effort" in conversation.template_arguments and "reasoning_effort" not in (
            self.chat_template or ""
        ):
            message = "'reasoning_effort' is not supported: the model's chat template does not know it."
            raise invalid(message, param="reasoning_effort", code="unsupported_parameter")
        hidden = [self._hidden(_template_message(message, self.chat_template or "")) for message in messages]
        try:
            with at_most(self.template_seconds):
                text = self._render(hidden, conversation)
        except OutOfTimeError:
            message = f"The model's chat template needs more than {self.template_seconds:g} s for these messages."
            raise invalid(message, param="messages", code="chat_template_error") from None
        except Exception as error:  # a template is a program of its own: whatever it raises, these messages made it
            message = f"The model's chat template refuses these messages: {plain(str(error))}"
            raise invalid(message, param="messages", code="chat_template_error") from None
        self._refuse_long(text, param="messages")
        ids = self._encode_rendered(text)
        return self._checked(ids if self.chat_template is not None else self._begun(ids), param="messages")

    def chat_begun(self, conversation: Conversation) -> tuple[tuple[int, ...], AnswerStart]:
        """Ids of a conversation, and whether its template let the answer begin within thoughts."""
        ids, form = self.chat(conversation), self.thoughts
        if form is None:
            return ids, "closed"
        if conversation.continues:
            begun = conversation.messages[-1].content
            return ids, "open" if begun.rfind(form.begin) > begun.rfind(form.end) else "closed"
        return ids, form.start(self.text(ids[-_NUM_AT_END:]))

    def text_tokens(self, text: str, *, is_begun: bool) -> tuple[int, ...]:
        """Ids of a text of any length, on request with the special tokens that the tokenizer begins it with."""
        return tuple(self._encode(text) if is_begun else self._encode_as_is(text))

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included. Raises RequestError for an id that is none."""
        for token in ids:
            if not 0 <= token < self.vocab_size:
                message = f"Invalid 'tokens': token id {token} is not in the vocabulary of {self.vocab_size}."
                raise invalid(message, param="tokens", code="invalid_token_id")
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def _refuse_long(self, text: str, *, param: str) -> None:
        """Read the beginning of a text that is likely too long, which costs less than all of it."""
        if self.context_length is None or len(text) <= _USUAL_CHARS * self.context_length:
            return
        num_tokens = len(self._encode_as_is(text[: _USUAL_CHARS * self.context_length])) - _NUM_AT_CUT
        if num_tokens > self.context_length:
            raise too_long(self.context_length, num_tokens, param=param, is_least=True)

    @property
    def tells_tools(self) -> bool:
        """Returns True if the chat template tells the model of tools."""
        return self.chat_template is not None and "tools" in self.chat_template

    def _hidden(self, message: Mapping[str, Json]) -> dict[str, Any]:
        return dict(message if self._control_tokens is None else self._control_tokens.hidden(message))

    def _render(self, messages: list[dict[str, Json]], conversation: Conversation) -> str:
        rendered = self.tokenizer.apply_chat_template(
            cast(list[dict[str, str]], messages),  # transformers' type, which knows no tool calls
            chat_template=self.chat_template or PLAIN,
            tokenize=False,
            add_generation_prompt=conversation.adds_prompt,
            continue_final_message=conversation.continues,
            tools=[self._hidden(tool.spec) for tool in conversation.tools] if self.tells_tools else None,
            **self._hidden(conversation.template_arguments),
        )
        return str(rendered)

    def _encode_rendered(self, text: str) -> list[int]:
        return self._encode_as_is(text) if self._control_tokens is None else self._control_tokens.encode(text).ids

    def _encode(self, text: str) -> list[int]:
        return self._begun(self._encode_as_is(text))

    def _begun(self, ids: list[int]) -> list[int]:
        """Ids with the tokenizer's special tokens in front, none behind: a text that ended cannot be continued."""
        bos = self.tokenizer.bos_token_id
        if not ids:
            return self._front[:1] or ([] if bos is None else [int(bos)])
        brings_its_own = len(self._front) == 1 and self._front[0] == bos == ids[0]
        return ids if brings_its_own else self._front + ids

    def _find_front(self) -> list[int]:
        """The special tokens that begin any text, found with a short one."""
        as_is = self._encode_as_is(_PROBE)
        ids = [int(i) for i in self.tokenizer.encode(_PROBE)]
        front = next((n for n in range(len(ids) - len(as_is) + 1) if ids[n : n + len(as_is)] == as_is), 0)
        return ids[:front]

    def _encode_as_is(self, text: str) -> list[int]:
        return [int(i) for i in self.tokenizer.encode(text, add_special_tokens=False)]

    def _checked(self, ids: Sequence[int], *, param: str) -> tuple[int, ...]:
        if not ids:
            raise invalid(f"Invalid '{param}': it has no tokens.", param=param, code="empty_string")
        if self.context_length is not None and len(ids) > self.context_length:
            raise too_long(self.context_length, len(ids), param=param)
        return tuple(ids)


def _template_message(message: Message, template: str) -> dict[str, Json]:
    role = "system" if message.role == "developer" else message.role
    fields: dict[str, Json] = {"role": role, "content": message.content, **message.thoughts}
    thoughts = message.thoughts.get("reasoning_content")
    if thoughts and "message.thinking" in template and not (message.content and message.tool_calls):
        fields.setdefault("thinking", thoughts)  # gpt-oss; beside a call it takes no words too
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_calls:
        fields["tool_calls"] = list(message.tool_calls)
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields
