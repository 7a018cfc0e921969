"""Chat templates by name, for tokenizers without one, and the settings of a tokenizer that follow from one."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

_SAID = "What the assistant says"
# each turn between the tokens of ChatML, which a tokenizer should have as special tokens
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}{{ message['content'] + "
    "'<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# concatenated contents: a prompt and its completion unchanged, for models without roles
PLAIN = (
    "{{ bos_token | default('', true) }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}{% else %}{{ message['content'] }}"
    "{% endif %}{% endfor %}"
)
NAMED = {"chatml": CHATML, "plain": PLAIN}


def read_template(chat_template: str) -> str:
    """Returns the template for a text: a name, the path of a file that ends in `.jinja`, or the template itself.

    Raises FileNotFoundError, and ValueError for a single word that is none of these.
    """
    if chat_template in NAMED:
        return NAMED[chat_template]
    if chat_template.endswith(".jinja"):
        path = Path(chat_template).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"chat_template: there is no file {chat_template} in {Path.cwd()}")
        return path.read_text(encoding="utf-8")
    if "{" not in chat_template:
        names = ", ".join(NAMED)
        raise ValueError(f"chat_template ({chat_template!r}) must be one of {names}, a file NAME.jinja, or a template")
    return chat_template


def with_chat_template(tokenizer: PreTrainedTokenizerFast, chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """Gives a tokenizer its chat template, and makes the token that ends turns its eos token.

    The saved tokenizer then renders what the model has learnt, and generation stops at the end of a turn.
    `chat_template` is a name (chatml, plain), a file, or a template; None: the tokenizer's own. Raises ValueError
    without one, and if it ends turns with no special token: nothing would tell the model to stop.
    """
    template = read_template(chat_template) if chat_template is not None else tokenizer.chat_template
    if template is None:
        raise ValueError("tokenizer must have a chat_template; or give one: chat_template: chatml")
    tokenizer.chat_template = template
    end = end_of_turn(tokenizer, str(template))
    if end is None:
        raise ValueError(
            "chat_template ends the assistant's turns with no special token of the tokenizer, so the model would not "
            "learn to stop: let the template end them with {{ eos_token }}, or add the token to the vocabulary "
            "(fgc update-vocab)"
        )
    tokenizer.eos_token = end
    return tokenizer


def end_of_turn(tokenizer: PreTrainedTokenizerFast, template: str) -> str | None:
    """Returns the special token at the end of the assistant's last turn; None if there is none."""
    messages: list[Any] = [{"role": "user", "content": "a question"}, {"role": "assistant", "content": _SAID}]
    render: Any = render_jinja_template
    texts, _ = render([messages], chat_template=template, **tokenizer.special_tokens_map)
    behind = texts[0].rpartition(_SAID)[2].lstrip()
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return max((token for token in special if behind.startswith(token)), key=len, default=None)


def as_messages(
    row: Any, *, user: str = "prompt", assistant: str = "completion", system: str | None = None
) -> list[dict[str, Any]]:
    """Returns a conversation made from columns of a row, for the parameter `document` of `table_files` and others.

    The arguments name the columns; an empty system message is left out. Raises ValueError for a missing column.
    """
    named = {"system": system, "user": user, "assistant": assistant}
    messages = []
    for role, column in named.items():
        if column is None:
            continue
        if column not in row:
            raise ValueError(f"column ({column!r}) must be one of: {', '.join(row)}")
        if row[column] or role != "system":
            messages.append({"role": role, "content": row[column] or ""})
    return messages
