"""A reasoning model's thoughts are told from its answer, the same however the text comes."""

import json
import random
from typing import Any

import jsonschema
import openai
import pytest
from fgc_runtime.generate.job import PlacedToken
from fgc_runtime.generate.scores import ScoredToken
from fgc_runtime.serve.answers import Answer, Choice, Head, usage
from fgc_runtime.serve.call_formats import FORMATS as CALL_FORMATS
from fgc_runtime.serve.call_reader import CallReader
from fgc_runtime.serve.chat_answers import ChatAnswers
from fgc_runtime.serve.fields import Fields, Json
from fgc_runtime.serve.prompts import PromptReader
from fgc_runtime.serve.requests import chat_request
from fgc_runtime.serve.response_answers import ResponseAnswers
from fgc_runtime.serve.response_requests import response_request
from fgc_runtime.serve.structure import asked_structure
from fgc_runtime.serve.thought_formats import THOUGHT_FORMATS
from fgc_runtime.serve.thoughts import AnswerStart, ThoughtPlace, ThoughtReader
from fgc_runtime.serve.tokens import TokenNames
from transformers import PreTrainedTokenizerFast

from tests.runtime.serve.conftest import CHAT_TEMPLATE, make_tokenizer
from tests.runtime.serve.test_structures import driven, structures

THINK = THOUGHT_FORMATS[0]
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
THOUGHT = f"<think>\nHm.\n</think>\n\nWell.\n{CALL}"
CASES: list[tuple[AnswerStart, str, str, str]] = [
    ("free", "<think>\nHm, 2 < 3.\n</think>\n\nYes.", "Hm, 2 < 3.", "Yes."),
    ("open", "Hm, 2 < 3.\n</think>\n\nYes.", "Hm, 2 < 3.", "Yes."),
    ("open", "<think>Hm.</think>Yes.", "Hm.", "Yes."),
    ("open", "Hm, cut </thi", "Hm, cut </thi", ""),
    ("free", "<think>Hm", "Hm", ""),
    ("free", "<think></think> Yes.", "", "Yes."),
    ("free", "  <thin", "", "  <thin"),
    ("free", "<thinking> a </think> b", "", "<thinking> a </think> b"),
    ("free", "Yes. <think>no</think>", "", "Yes. <think>no</think>"),
    ("closed", "<think>a</think> b", "", "<think>a</think> b"),
    ("open", "", "", ""),
]


def answers(start: AnswerStart, place: ThoughtPlace = "apart", *, is_scored: bool = False) -> ChatAnswers:
    head = Head("chatcmpl-1", 0, "tiny", TokenNames(make_tokenizer()), is_scored)
    reader = CallReader(CALL_FORMATS["hermes"], {"add": {}})
    return ChatAnswers(head, reader, ThoughtReader(THINK, start), place)


def pieces(text: str) -> list[Choice]:
    """A text that comes letter by letter, each of which is a token."""
    letters = [
        Choice(letter, [PlacedToken(ScoredToken(number, -1.0), number - 1)], reached=[(1, number)])
        for number, letter in enumerate(text, 1)
    ]
    letters[-1].finish = "stop"
    return letters


def whole(text: str) -> Choice:
    choice = Choice()
    for piece in pieces(text):
        choice.grow(piece)
    return choice


@pytest.mark.parametrize(("start", "text", "thoughts", "content"), CASES)
def test_thoughts_are_told_from_the_answer(start: AnswerStart, text: str, thoughts: str, content: str) -> None:
    shape = answers(start)
    said, before = shape.said(text, is_finished=True), shape.said("", is_finished=False)
    assert (said.thoughts, said.content) == (thoughts, content)
    for end in range(len(text) + 1):  # what is found only grows
        grown = shape.said(text[:end], is_finished=False)
        assert grown.thoughts.startswith(before.thoughts) and said.thoughts.startswith(grown.thoughts)
        assert grown.content.startswith(before.content) and said.content.startswith(grown.content)
        before = grown


def test_a_chat_has_thoughts_beside_its_content_and_calls() -> None:
    used = usage(5, len(THOUGHT))
    message = answers("free").whole([whole(THOUGHT)], used)
    (choice,) = listed(message["choices"])
    assert choice["message"]["reasoning_content"] == "Hm." and choice["message"]["content"] == "Well."
    assert len(choice["message"]["tool_calls"]) == 1 and choice["finish_reason"] == "tool_calls"
    assert counted(message) == THOUGHT.index("</think>") + len("</think>")

    shape = answers("free")
    deltas = [part["delta"] for piece in pieces(THOUGHT) for part in listed(shape.growth(0, piece))]
    for name in ("reasoning_content", "content"):
        assert "".join(delta.get(name, "") for delta in deltas) == choice["message"][name]
    assert counted(shape.chunk([], used)) == counted(message)


@pytest.mark.parametrize("text", [THOUGHT, "<think>Hm.</think>Well.", "<thin air", "Well.", "<think>Hm", "<think>"])
def test_thoughts_that_are_left_out_are_in_no_log_probabilities_either(text: str) -> None:
    (choice,) = listed(answers("free", "nowhere", is_scored=True).whole([whole(text)], usage(5, 9))["choices"])
    num_thought = sum(end for _, end in ThoughtReader(THINK, "free").divide(text, is_finished=True).spans)
    expected = list(range(num_thought + 1, len(text) + 1))
    assert "reasoning_content" not in choice["message"]
    assert [ids(entry) for entry in choice["logprobs"]["content"]] == [ids(entry) for entry in tokens(expected)]

    shape = answers("free", "nowhere", is_scored=True)
    parts = [part for piece in pieces(text) for part in listed(shape.growth(0, piece))]
    sent = [entry for part in parts if part["logprobs"] for entry in part["logprobs"]["content"]]
    assert [ids(entry) for entry in sent] == [ids(entry) for entry in tokens(expected)]
    assert not any("reasoning_content" in part["delta"] for part in parts)


@pytest.mark.parametrize("text", [THOUGHT, "<think>Hm.</think>  ", "<thin air", "<think>Hm"])
def test_thoughts_that_are_not_to_be_divided_stay_in_the_text(text: str) -> None:
    (choice,) = listed(answers("free", "within").whole([whole(text)], usage(5, 9))["choices"])
    content = text.removesuffix(CALL).rstrip() if CALL in text else text
    assert choice["message"]["content"] == content and "reasoning_content" not in choice["message"]
    assert len(choice["message"].get("tool_calls", ())) == int(CALL in text)
    shape = answers("free", "within")
    parts = [part for piece in pieces(text) for part in listed(shape.growth(0, piece))]
    assert "".join(part["delta"].get("content") or "" for part in parts) == content
    assert shape.said("<to", is_finished=False).content == ""  # a call, as it goes on


def ids(entry: dict[str, Any]) -> Any:
    return entry["bytes"]


def tokens(numbers: list[int]) -> list[dict[str, Any]]:
    return [dict(entry) for entry in answers("free").scores([PlacedToken(ScoredToken(n, -1.0), 0) for n in numbers])]


def listed(value: object) -> list[Any]:
    assert isinstance(value, list | tuple)
    return list(value)


def counted(answer: Answer) -> int:
    used: Any = answer["usage"]
    return int(used["completion_tokens_details"]["reasoning_tokens"])


@pytest.mark.parametrize("text", [THOUGHT, "<think>Hm.</think>Well.", "<think>Hm", f"<think>Hm.</think>{CALL}"])
def test_a_response_has_an_item_of_reasoning_streamed_or_not(text: str) -> None:
    """The official client puts the events together: a wrong place or order is an error there."""
    kept: list[Json] = []
    body: dict[str, Json] = {"input": "Hi"}
    at_once = ResponseAnswers(answers("free"), body, lambda response, said: kept.extend(said))
    expected: Any = at_once.whole([whole(text)], usage(1, len(text)))
    shape, events = ResponseAnswers(answers("free"), body, lambda response, said: None), []
    events += shape.begin()
    for piece in pieces(text):
        events += shape.grow(piece)
    events += shape.end(whole(text), usage(1, len(text)))
    last: Any = events[-1]["response"]
    assert last["output"] == expected["output"] and last["usage"] == expected["usage"]
    assert last["output"][0]["type"] == "reasoning" and last["usage"]["output_tokens_details"]["reasoning_tokens"] > 5
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert added == sorted(done) == list(range(len(last["output"])))
    told = "".join(str(event["delta"]) for event in events if event["type"] == "response.reasoning_text.delta")
    assert told == last["output"][0]["content"][0]["text"]
    openai.types.responses.Response.model_validate(last, strict=True)

    # the items lead to the same next turn, whether the server kept them or the client sends them back
    back = response_request(
        {"input": [{"role": "user", "content": "Hi"}, *last["output"], {"role": "user", "content": "?"}]}
    )
    said = back.chat.conversation.messages[1:-1]
    remembered = response_request({"input": "?"}, [{"role": "user", "content": "Hi"}, *kept]).chat.conversation.messages
    if last["output"][1:]:
        assert said == remembered[1:-1] and said[0].thoughts["reasoning_content"] == told
    else:
        assert said == ()  # thoughts that led to nothing


@pytest.mark.parametrize(
    ("start", "begun", "thoughts"),
    [
        ("free", "", ""),
        ("free", "<think>Hm, [] < 3.</think>\n", "Hm, [] < 3."),
        ("open", "Hm, [] < 3.</think>\n", "Hm, [] < 3."),
        ("closed", "", ""),
    ],
)
@pytest.mark.parametrize("marks", ["special", "plain", "several"])
def test_a_structured_answer_fits_behind_its_thoughts(
    start: AnswerStart, begun: str, thoughts: str, marks: str
) -> None:
    """The marks are special tokens, tokens that are not special, or letters."""
    tokenizer = make_tokenizer(["<think>", "</think>"] if marks == "special" else [])
    tokenizer.add_tokens(["<think>", "</think>"] if marks == "plain" else [])
    schema: Json = {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}
    wanted = asked_structure(Fields({"guided_json": schema}))
    assert wanted is not None
    compiler, numbers = structures(tokenizer), random.Random(2)
    grammar = compiler.compile(compiler.behind_thoughts(wanted, THINK, start))
    texts = [driven(grammar.guide(), tokenizer, numbers, begun) for _ in range(12)]
    finished = [text for text in texts if text is not None]
    assert len(finished) >= 2
    for text in finished:
        divided = ThoughtReader(THINK, start).divide(text, is_finished=True)
        assert divided.thoughts == thoughts or not begun
        jsonschema.validate(json.loads(divided.answer), schema)


@pytest.mark.parametrize("begun", ["", "Hm, [] < 3.", "Hm</think>Well"])
def test_a_structured_answer_does_not_end_within_its_thoughts(begun: str) -> None:
    tokenizer = make_tokenizer()
    wanted = asked_structure(Fields({"guided_choice": ["yes"]}))
    assert wanted is not None
    compiler = structures(tokenizer)
    guide = compiler.compile(compiler.behind_thoughts(wanted, THINK, "open")).guide()
    for token in tokenizer.encode(begun + "yes", add_special_tokens=False):
        guide.take(token)
    assert not guide.is_whole


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({}, "free"),
        ({"chat_template_kwargs": {"thinks": True}}, "open"),
        ({"chat_template_kwargs": {"thinks": False}}, "closed"),
        ({"continue_final_message": True, "messages": [{"role": "assistant", "content": "<think>Hm"}]}, "open"),
        ({"continue_final_message": True, "messages": [{"role": "assistant", "content": "Well"}]}, "closed"),
        ({"messages": [{"role": "user", "content": "What does <think> mean?"}]}, "free"),
    ],
)
def test_the_template_says_where_an_answer_begins(
    fields: dict[str, Json], start: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    asked = chat_request({"messages": [{"role": "user", "content": "<think>"}], **fields})
    reader = PromptReader(tokenizer, 256, len(tokenizer), CHAT_TEMPLATE)
    assert reader.chat_begun(asked.conversation)[1] == start


def test_thoughts_come_through_the_server(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 8,
        "seed": 1,
    }
    opened = {"chat_template_kwargs": {"thinks": True}}
    message: Any = client.chat.completions.create(**asked, extra_body=opened).choices[0].message
    assert message.content == "" and len(message.reasoning_content) > 2
    streamed: Any = client.chat.completions.create(**asked, extra_body=opened, stream=True)
    told = "".join(getattr(event.choices[0].delta, "reasoning_content", "") for event in streamed)
    assert told == message.reasoning_content
    kept: Any = client.chat.completions.create(**asked, extra_body={**opened, "separate_reasoning": False})
    assert kept.choices[0].message.content.strip() == told
