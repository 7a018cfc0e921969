"""What requests may say: everything else is a 400 that names the parameter."""

from collections.abc import Callable, Mapping

import pytest
from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.serve.defaults import Defaults
from fgc_runtime.serve.faults import RequestError
from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.messages import Message
from fgc_runtime.serve.requests import (
    ChatRequest,
    CompletionRequest,
    chat_request,
    completion_request,
    detokenize_request,
    tokenize_request,
)
from fgc_runtime.serve.schemas import CHAT, COMPLETION, DETOKENIZE, TOKENIZE


def completion(**values: Json) -> CompletionRequest:
    return completion_request({"model": "m", "prompt": "p", **values})


def chat(**values: Json) -> ChatRequest:
    return chat_request({"model": "m", "messages": [{"role": "user", "content": "hi"}], **values})


@pytest.mark.parametrize(
    ("values", "param", "code"),
    [
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"temperature": 2.5}, "temperature", "number_above_max_value"),
        ({"temperature": float("inf")}, "temperature", "invalid_type"),
        ({"temperature": 10**400}, "temperature", "integer_above_max_value"),
        ({"top_p": -0.1}, "top_p", "number_below_min_value"),
        ({"max_tokens": -2}, "max_tokens", "integer_below_min_value"),
        ({"min_p": 2}, "min_p", "integer_above_max_value"),
        ({"repetition_penalty": 0}, "repetition_penalty", "integer_below_min_value"),
        ({"min_tokens": -1}, "min_tokens", "integer_below_min_value"),
        ({"stop_token_ids": [-1]}, "stop_token_ids", "invalid_token_id"),
        ({"stop_token_ids": ["a"]}, "stop_token_ids[0]", "invalid_type"),
        ({"use_beam_search": True}, "use_beam_search", "unsupported_parameter"),
        ({"typical_p": 0.5}, "typical_p", "unsupported_parameter"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 1000}, "n", "integer_above_max_value"),
        ({"stop": 5}, "stop", "invalid_type"),
        ({"stop": ["a", 5]}, "stop", "invalid_type"),
        ({"stop": ""}, "stop", "empty_string"),
        ({"stop": ["x"] * 17}, "stop", "array_above_max_length"),
        ({"seed": "1"}, "seed", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_type"),
        ({"stream": True, "stream_options": {"usage": True}}, "stream_options.usage", "unknown_parameter"),
        ({"logit_bias": {"x": 1}}, "logit_bias", "invalid_key"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5", "integer_above_max_value"),
        ({"logit_bias": []}, "logit_bias", "invalid_type"),
        ({"frequency_penalty": 3}, "frequency_penalty", "integer_above_max_value"),
        ({"model": 3}, "model", "invalid_type"),
        ({"temprature": 1}, "temprature", "unknown_parameter"),
        ({"guided_regex": "a", "stop_token_ids": [1]}, "stop_token_ids", "invalid_value"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_object"}, "stop": "}"}, "stop", "invalid_value"),
    ],
)
def test_a_wrong_value_is_refused_by_both_endpoints(values: dict[str, Json], param: str, code: str | None) -> None:
    for ask in (completion, chat):
        with pytest.raises(RequestError) as caught:
            ask(**values)
        fault = caught.value.fault
        assert (fault.status, fault.param, fault.code) == (400, param, code)


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt[1]"),
        ({"prompt": [[1], []]}, "prompt"),
        ({"prompt": "half \ud800"}, "prompt"),
        ({"logprobs": 21}, "logprobs"),
        ({"best_of": 2, "n": 3}, "best_of"),
        ({"best_of": 3, "stream": True}, "best_of"),
        ({"suffix": "end", "echo": True}, "echo"),
        ({"prompt": ["a"] * 257}, "prompt"),
        ({"prompt": ["a"] * 128, "n": 9}, "n"),
        ({"messages": []}, "messages"),
    ],
)
def test_a_wrong_completion_request_is_refused(values: dict[str, Json], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        completion(**values)
    assert (caught.value.fault.status, caught.value.fault.param) == (400, param)


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "", "tool_calls": [{}]}]}, "messages[0].tool_calls"),
        ({"continue_final_message": True, "add_generation_prompt": True}, "continue_final_message"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": 3}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"prompt": "p"}, "prompt"),
    ],
)
def test_a_wrong_chat_request_is_refused(values: dict[str, Json], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        chat(**values)
    assert (caught.value.fault.status, caught.value.fault.param) == (400, param)


@pytest.mark.parametrize("body", [None, 3, "x", [], True])
def test_a_body_that_is_no_object_is_refused(body: Json) -> None:
    with pytest.raises(RequestError, match="expected an object"):
        completion_request(body)


def test_null_counts_as_left_out() -> None:
    names = ("temperature", "max_tokens", "stop", "n", "seed", "stream", "stream_options", "logit_bias", "logprobs")
    assert completion(**dict.fromkeys(names)) == completion()


def test_parameters_without_effect_here_are_accepted() -> None:
    quiet: dict[str, Json] = {"user": "u", "metadata": {}, "store": False, "tools": [], "tool_choice": "none"}
    assert chat(**quiet, response_format={"type": "text"}) == chat()


@pytest.mark.parametrize(
    "neutral",
    [
        {"repetition_penalty": 1.0},
        {"use_beam_search": False, "length_penalty": 1.0, "early_stopping": False},
        {"top_k": -1},
        {"min_p": 0.0, "typical_p": 1, "mirostat": 0},
        {"seed": -1},
        {"stop_token_ids": [], "min_tokens": 0},
        {"skip_special_tokens": True, "chat_template_kwargs": {}},
    ],
)
def test_values_that_change_nothing_are_accepted(neutral: dict[str, Json]) -> None:
    assert completion(**neutral) == completion() and chat(**neutral) == chat()


def test_a_limit_of_minus_one_is_none() -> None:
    limits = [completion().wishes.max_tokens, completion(max_tokens=-1).wishes.max_tokens]
    assert limits == [16, None] and chat(max_tokens=-1) == chat()


def test_a_request_without_a_model_asks_the_one_that_is_served() -> None:
    assert completion_request({"prompt": "p"}).wishes.model is None


def test_a_conversation_may_have_calls_of_tools_and_their_answers() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    said: Json = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "b"},
    ]
    read = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    expected = (Message("assistant", "", None, (read,)), Message("tool", "b", None, (), "1"))
    assert chat(messages=said).conversation.messages == expected


def test_prompts_come_in_four_forms() -> None:
    assert completion(prompt="a").prompts == ("a",)
    assert completion(prompt=["a", "b"]).prompts == ("a", "b")
    assert completion(prompt=[1, 2]).prompts == ((1, 2),)
    assert completion(prompt=[[1], [2, 3]]).prompts == ((1,), (2, 3))


def test_max_completion_tokens_wins_over_max_tokens() -> None:
    assert chat(max_tokens=3, max_completion_tokens=5).wishes.max_tokens == 5


def test_text_parts_stand_on_lines_of_their_own() -> None:
    parts: Json = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert chat(messages=[{"role": "user", "content": parts}]).conversation.messages == (Message("user", "a\nb", None),)


def test_a_template_keeps_its_own_variables() -> None:
    assert chat(chat_template_kwargs={"enable_thinking": False}).conversation.template_arguments == {
        "enable_thinking": False
    }
    with pytest.raises(RequestError) as caught:
        chat(chat_template_kwargs={"chat_template": "x"})
    assert caught.value.fault.param == "chat_template_kwargs.chat_template"


def test_thoughts_of_earlier_turns_are_kept_for_the_template() -> None:
    said = {"role": "assistant", "content": "b", "reasoning": "why"}
    (message,) = chat(messages=[said]).conversation.messages
    assert message.thoughts == {"reasoning": "why", "reasoning_content": "why"}


def test_a_call_is_no_text_to_go_on_with() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: Json = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    with pytest.raises(RequestError, match="calls tools"):
        chat(messages=messages, continue_final_message=True)


def test_parts_that_a_model_of_texts_cannot_read_are_refused() -> None:
    with pytest.raises(RequestError, match="images"):
        chat(messages=[{"role": "user", "content": "What is it?", "images": ["aGk="]}])


def test_a_text_may_go_without_the_tokens_in_front() -> None:
    assert completion().is_begun and not completion(add_special_tokens=False).is_begun
    assert chat(add_special_tokens=False)
    with pytest.raises(RequestError, match="add_special_tokens"):
        chat(add_special_tokens=True)


def test_where_a_request_is_silent_the_models_defaults_count() -> None:
    defaults = Defaults(Sampling(temperature=0.6, top_k=20), max_tokens=9)
    asked: Json = {"messages": [{"role": "user", "content": "hi"}], "top_k": -1}
    wishes = chat_request(asked, defaults).wishes
    assert (wishes.sampling.temperature, wishes.sampling.top_k, wishes.max_tokens) == (0.6, 0, 9)
    assert completion_request({"prompt": "p", "temperature": 0}, defaults).wishes.sampling.temperature == 0


@pytest.mark.parametrize("body", [{"prompt": "p"}, {"model": "m", "prompt": "p", "typical_p": 1}])
def test_a_strict_server_wants_a_model_and_the_apis_names(body: Json) -> None:
    assert completion_request(body)
    with pytest.raises(RequestError):
        completion_request(body, Defaults(is_strict=True))


def test_thinking_harder_is_for_the_template() -> None:
    assert chat(reasoning_effort="low").conversation.template_arguments == {"reasoning_effort": "low"}
    assert chat(reasoning_effort="none") == chat()


def refuses(read: Callable[[Json], object], body: Json) -> bool:
    try:
        read(body)
    except RequestError as error:
        return error.fault.code != "unknown_parameter"
    return False


MESSAGES: Json = [{"role": "user", "content": "a"}]


@pytest.mark.parametrize(
    ("fields", "read", "whole"),
    [
        (COMPLETION, completion_request, {"prompt": "a"}),
        (CHAT, chat_request, {"messages": MESSAGES}),
        (TOKENIZE, tokenize_request, {"messages": MESSAGES}),
        (DETOKENIZE, detokenize_request, {"tokens": [1]}),
    ],
)
def test_each_field_that_is_described_is_read(
    fields: Mapping[str, object], read: Callable[[Json], object], whole: dict[str, Json]
) -> None:
    """A name in the table that nothing reads would be taken and forgotten, as a misspelt one."""
    assert not refuses(read, whole)
    wrong: tuple[Json, ...] = (1.5, "x", {"x": 1})
    assert [name for name in fields if not any(refuses(read, {**whole, name: value}) for value in wrong)] == []
