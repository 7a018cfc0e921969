"""The responses API, asked by the official client: the chat's texts in another form, and turns that go on."""

import json

import httpx
import openai
import pydantic
import pytest
from fgc_runtime.serve.faults import RequestError
from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.response_requests import response_request
from fgc_runtime.serve.response_store import ResponseStore
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseStreamEvent

from tests.runtime.serve.conftest import NO_THOUGHTS, RunningServer

MODEL = "tiny"
DAYS = {"properties": {"d": {"enum": ["mon", "tue"]}}, "required": ["d"], "additionalProperties": False}
TOOL = {"type": "function", "name": "f", "parameters": DAYS, "strict": True}


def respond(client: openai.OpenAI, asked: object = "Hello", **options: object) -> Response:
    return client.responses.create(model=MODEL, input=asked, **({"max_output_tokens": 12, "temperature": 0} | options))


@pytest.mark.slow
def test_a_response_has_the_chats_text(client: openai.OpenAI) -> None:
    response = respond(client, instructions="Be.")
    messages = [{"role": "system", "content": "Be."}, {"role": "user", "content": "Hello"}]
    chat = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=12, temperature=0)
    assert response.output_text == chat.choices[0].message.content
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.usage.input_tokens == chat.usage.prompt_tokens and response.usage.output_tokens == 12
    Response.model_validate_json(json.dumps(client.responses.retrieve(response.id).model_dump(mode="json")))


@pytest.mark.slow
def test_a_streamed_response_is_the_whole_one(client: openai.OpenAI, server: RunningServer) -> None:
    asked = {"model": MODEL, "input": "Hello", "max_output_tokens": 12, "temperature": 0, "stream": True}
    lines = httpx.post(f"{server.url}/v1/responses", json=asked, timeout=30).text.split("\n\n")
    events = [json.loads(line.split("data: ")[1]) for line in lines if line]
    assert [line.split("\n")[0] for line in lines if line] == [f"event: {each['type']}" for each in events]
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    for each in events:
        pydantic.TypeAdapter(ResponseStreamEvent).validate_python(each)
    kinds = [each["type"].removeprefix("response.") for each in events]
    opening = ["created", "in_progress", "output_item.added", "content_part.added"]
    closing = ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
    assert kinds[:4] == opening and kinds[-4:] == closing and set(kinds[4:-4]) == {"output_text.delta"}
    text = "".join(each["delta"] for each in events if each["type"].endswith("text.delta"))
    assert text == respond(client).output_text == events[-1]["response"]["output"][0]["content"][0]["text"]


@pytest.mark.slow
def test_a_next_turn_goes_on_from_a_response(client: openai.OpenAI) -> None:
    first = respond(client, "Hello", instructions="Not of the next turn.")
    second = respond(client, "And?", previous_response_id=first.id)
    said = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "And?"},
    ]
    assert second.output_text == respond(client, said).output_text
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError) as caught:
        respond(client, "And?", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"
    unkept = respond(client, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unkept.id)


@pytest.mark.slow
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_response_calls_tools(client: openai.OpenAI, is_stream: bool) -> None:
    asked = {"tools": [TOOL], "tool_choice": "required", "max_output_tokens": 80, "extra_body": NO_THOUGHTS}
    deltas = ""
    if is_stream:
        events = list(respond(client, stream=True, **asked))
        deltas = "".join(each.delta for each in events if each.type == "response.function_call_arguments.delta")
        response = events[-1].response
    else:
        response = respond(client, **asked)
    (call,) = response.output
    assert isinstance(call, ResponseFunctionToolCall) and call.name == "f" and response.status == "completed"
    assert json.loads(call.arguments)["d"] in ("mon", "tue") and deltas in (call.arguments, "")
    assert bool(deltas) is is_stream


@pytest.mark.slow
def test_a_response_parses_into_a_class(client: openai.OpenAI) -> None:
    class Verdict(pydantic.BaseModel):
        is_good: bool

    parsed = client.responses.parse(
        model=MODEL, input="Hello", text_format=Verdict, max_output_tokens=60, extra_body=NO_THOUGHTS
    )
    assert isinstance(parsed.output_parsed, Verdict)


def test_items_of_an_input_become_messages() -> None:
    call: Json = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    items: list[Json] = [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
        call,
        {**call, "call_id": "2"},
        {"type": "function_call_output", "call_id": "1", "output": "c"},
    ]
    messages = response_request({"input": items}).chat.conversation.messages
    assert [(each.role, each.content, len(each.tool_calls)) for each in messages] == [
        ("user", "a", 0),
        ("assistant", "b", 2),
        ("tool", "c", 0),
    ]


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": [{"type": "web_search_call"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "king", "content": "a"}]}, "input[0].role"),
        ({"input": "a", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "a", "background": True}, "background"),
        ({"input": "a", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "a", "text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"input": "a", "temprature": 1}, "temprature"),
        ({"input": "a", "n": 2}, "n"),
    ],
)
def test_a_wrong_request_is_refused_by_its_own_field(values: dict[str, Json], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        response_request(values)
    assert (caught.value.fault.status, caught.value.fault.param) == (400, param)


def test_the_oldest_responses_go() -> None:
    store = ResponseStore()
    for number in range(1001):
        store.keep(str(number), {}, ["x"])
    assert store.find("0") is None and store.find("1000") is not None
    store.keep("large", {}, ["x" * 60_000_000])
    assert store.find("1000") is None and store.find("large") is not None


@pytest.mark.slow
def test_a_response_without_a_word_opens_what_it_closes(client: openai.OpenAI) -> None:
    """`output_text.done` alone makes the official client fail."""
    asked = {"model": MODEL, "input": "Hello", "extra_body": {"logit_bias": {"1": 100}}}
    with client.responses.stream(**asked) as stream:
        kinds = [event.type.removeprefix("response.") for event in stream]
        assert stream.get_final_response().output_text == ""
    assert kinds[2:4] == ["output_item.added", "content_part.added"]
