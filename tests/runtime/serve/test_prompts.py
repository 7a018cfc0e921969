"""Prompts become token ids with special tokens once in front and never behind."""

import pytest
from fgc_runtime.serve.faults import RequestError
from fgc_runtime.serve.prompts import PromptReader
from fgc_runtime.serve.requests import Message
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from tests.runtime.serve.conftest import CHAT_TEMPLATE, make_tokenizer

HELLO = (Message("user", "Hello", None),)


def reader(tokenizer: PreTrainedTokenizerFast, template: str | None = None, longest: int = 64) -> PromptReader:
    return PromptReader(tokenizer, longest, len(tokenizer), template)


def test_a_text_begins_with_one_bos_even_if_it_brings_its_own(tokenizer: PreTrainedTokenizerFast) -> None:
    dog = tokenizer.encode("The dog", add_special_tokens=False)
    assert reader(tokenizer).completion("The dog") == (0, *dog)
    assert reader(tokenizer).completion("<s>The dog") == (0, *dog)


def test_an_end_that_the_tokenizer_adds_is_left_out() -> None:
    tokenizer = make_tokenizer()
    both = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer.backend_tokenizer.post_processor = both
    assert tokenizer.encode("The dog")[-1] == 1
    assert reader(tokenizer).completion("The dog") == (0, *tokenizer.encode("The dog", add_special_tokens=False))
    assert reader(tokenizer).completion("") == (0,)


def test_an_empty_text_is_its_bos_or_an_error() -> None:
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    assert reader(tokenizer).completion("") == (0,)
    tokenizer.bos_token = None
    with pytest.raises(RequestError, match="no tokens"):
        reader(tokenizer).completion("")


def test_a_chat_template_writes_all_special_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = reader(tokenizer, CHAT_TEMPLATE).chat(HELLO)
    text = "<s><|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(ids) == text
    assert ids.count(0) == 1


def test_without_a_template_messages_are_continued_as_plain_text(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = (Message("system", "A story.", None), Message("user", "The dog", None))
    assert reader(tokenizer).chat(messages) == tuple(tokenizer.encode("A story.\nThe dog"))


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{{ ''.__class__.__mro__ }}", "{{ 1 // 0 }}"])
def test_what_a_template_refuses_is_the_requests_error(tokenizer: PreTrainedTokenizerFast, template: str) -> None:
    with pytest.raises(RequestError) as caught:
        reader(tokenizer, template).chat(HELLO)
    assert (caught.value.fault.status, caught.value.fault.code) == (400, "chat_template_error")


def test_a_prompt_longer_than_the_context_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(RequestError, match="maximum context length is 4 tokens"):
        reader(tokenizer, longest=4).completion("A small dog in the park")
