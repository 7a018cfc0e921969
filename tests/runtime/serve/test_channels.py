"""Channels of gpt-oss: thoughts, words and calls are told apart, the same however the text comes."""

import json
import random
from typing import Any

import pytest
from fgc_runtime.generate.job import PlacedToken
from fgc_runtime.generate.scores import ScoredToken
from fgc_runtime.serve.answers import Choice, Head, usage
from fgc_runtime.serve.call_formats import FORMATS, format_of
from fgc_runtime.serve.call_reader import Call, CallReader, Said
from fgc_runtime.serve.channels import HARMONY
from fgc_runtime.serve.chat_answers import ChatAnswers
from fgc_runtime.serve.fields import Fields, Json
from fgc_runtime.serve.prompts import PromptReader
from fgc_runtime.serve.requests import chat_request
from fgc_runtime.serve.response_answers import ResponseAnswers
from fgc_runtime.serve.structure import asked_structure
from fgc_runtime.serve.thought_formats import thoughts_of
from fgc_runtime.serve.thoughts import AnswerStart, ThoughtPlace
from fgc_runtime.serve.tokens import TokenNames
from fgc_runtime.serve.tools import asked_tools

from tests.runtime.serve.conftest import make_tokenizer
from tests.runtime.serve.test_structures import driven, structures

TEMPLATE = (  # as the template of gpt-oss writes them
    "{% for message in messages %}{% if message.tool_calls %}{% if message.thinking %}"
    "{{ '<|start|>assistant<|channel|>analysis<|message|>' + message.thinking + '<|end|>' }}{% endif %}"
    "{% set called = message.tool_calls[0].function %}{{ '<|start|>assistant to=functions.' + called.name }}"
    "{{ '<|channel|>commentary json<|message|>' + called.arguments|tojson + '<|call|>' }}"
    "{% else %}{{ '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
MARKS = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"]
ADD = Call("add", '{"a": 1}')
THOUGHT = "<|channel|>analysis<|message|>Hm, 2 < 3.<|end|>"
CASES: list[tuple[AnswerStart, str, Said]] = [
    ("free", f"{THOUGHT}<|start|>assistant<|channel|>final<|message|>Yes.", Said("Yes.", (), "Hm, 2 < 3.")),
    ("free", f"{THOUGHT}<|start|>assistant<|channel|>final<|message|>Yes.<|return|>", Said("Yes.", (), "Hm, 2 < 3.")),
    ("free", "<|channel|>final<|message|>Yes, a < b.", Said("Yes, a < b.")),
    (
        "free",
        f"{THOUGHT}<|start|>assistant"
        '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 1}<|call|>',
        Said("", (ADD,), "Hm, 2 < 3."),
    ),
    ("free", ' to=functions.add<|channel|>commentary json<|message|>{"a": 1}<|call|>', Said("", (ADD,))),
    ("free", '<|channel|>analysis to=functions.add<|message|>{"a": 1}', Said("", (ADD,))),
    (
        "free",
        f"{THOUGHT}<|start|>assistant<|channel|>commentary<|message|>I look.<|end|>"
        "<|start|>assistant<|channel|>analysis<|message|>So.<|end|>"
        '<|start|>assistant<|channel|>commentary to=functions.add json<|message|>{"a": 1}',
        Said("I look.", (ADD,), "Hm, 2 < 3.\n\nSo."),
    ),
    ("free", "<|channel|>analysis to=python code<|message|>print(1)<|call|>", Said("", (), "print(1)")),
    ("free", "<|channel|>analysis<|message|>Hm, cut", Said("", (), "Hm, cut")),
    ("free", f"{THOUGHT}<|start|>assistant<|chan", Said("", (), "Hm, 2 < 3.")),
    ("open", "Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.", Said("Yes.", (), "Hm.")),
    ("closed", "Yes, to=functions.add", Said("Yes, to=functions.add")),
    ("free", "Words without a head", Said("Words without a head")),
    ("free", "to", Said("to")),
]


def answers(start: AnswerStart, place: ThoughtPlace = "apart") -> ChatAnswers:
    head = Head("chatcmpl-1", 0, "tiny", TokenNames(make_tokenizer()), is_scored=True)
    return ChatAnswers(head, CallReader(FORMATS["harmony"], {"add": {}}), HARMONY.reader(start), place)


def choice_of(text: str) -> Choice:
    """A text whose letters are tokens."""
    tokens = [PlacedToken(ScoredToken(ord(letter) % 380, -1.0), place) for place, letter in enumerate(text)]
    return Choice(text, tokens, "stop", [(number, number) for number in range(1, len(text) + 1)])


@pytest.mark.parametrize(("start", "text", "expected"), CASES)
def test_channels_are_told_apart(start: AnswerStart, text: str, expected: Said) -> None:
    shape = answers(start)
    said, before = shape.said(text, is_finished=True), shape.said("", is_finished=False)
    assert said == expected
    for end in range(len(text) + 1):  # what is found only grows
        grown = shape.said(text[:end], is_finished=False)
        assert grown.thoughts.startswith(before.thoughts) and said.thoughts.startswith(grown.thoughts)
        assert grown.content.startswith(before.content) and said.content.startswith(grown.content)
        assert len(before.calls) <= len(grown.calls) <= len(said.calls)
        before = grown


def test_tokens_of_thoughts_are_counted_and_left_out() -> None:
    text = f"{THOUGHT}<|start|>assistant<|channel|>final<|message|>Yes.<|end|>"
    answer: Any = answers("free", "nowhere").whole([choice_of(text)], usage(1, len(text)))
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == len(text) - len("Yes.")
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Yes.", "refusal": None}
    assert len(choice["logprobs"]["content"]) == len("Yes.")
    kept: Any = answers("free", "within").whole([choice_of(text)], usage(1, len(text)))
    assert kept["choices"][0]["message"]["content"] == "Hm, 2 < 3.\n\nYes."


@pytest.mark.parametrize("begun", ["", THOUGHT + "<|start|>assistant"])
def test_thoughts_behind_words_are_streamed_to_an_item_that_is_open(begun: str) -> None:
    text = f"{begun}<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>analysis<|message|>So."
    text += '<|end|><|start|>assistant<|channel|>commentary to=functions.add json<|message|>{"a": 1}<|call|>'
    shape = ResponseAnswers(answers("free"), {"input": "Hi"}, lambda *_: None)
    open_items, told = dict[object, str](), dict[object, str]()
    events, choice = list(shape.begin()), choice_of(text)
    for number, token in enumerate(choice.tokens):
        events += shape.grow(Choice(text[number], [token], "stop" if number == len(text) - 1 else None, [(1, 1)]))
    events += shape.end(choice, usage(1, len(text)))
    for event in events:
        index, kind = event.get("output_index"), str(event["type"])
        if kind == "response.output_item.added":
            assert index not in {*open_items, *told} and index == len(open_items) + len(told)
            open_items[index] = ""
        elif kind.endswith(".delta"):
            open_items[index] += str(event["delta"])
        elif kind == "response.output_item.done":
            told[index] = open_items.pop(index)
    last: Any = events[-1]["response"]
    assert not open_items and len(told) == len(last["output"]) == 3
    for index, item in enumerate(last["output"]):
        assert told[index] == (item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"])


@pytest.mark.parametrize(("mode", "begun"), [("auto", f"{THOUGHT}<|start|>assistant"), ("auto", ""), ("required", "")])
def test_a_structured_answer_is_in_the_final_channel_and_a_call_in_its_own(mode: str, begun: str) -> None:
    tokenizer = make_tokenizer(MARKS)
    compiler, numbers = structures(tokenizer, FORMATS["harmony"]), random.Random(3)
    properties: Json = {"a": {"enum": [1]}}
    schema: Json = {"type": "object", "properties": properties, "required": ["a"], "additionalProperties": False}
    tool: Json = {"type": "function", "function": {"name": "add", "parameters": schema}}
    tools = asked_tools(Fields({"tools": [tool], "tool_choice": mode}))
    asked = asked_structure(Fields({"guided_choice": ["yes", "no"]})) if mode == "auto" else None
    wanted = compiler.wanted(asked, tools, head=HARMONY.answer_head)
    assert wanted is not None
    grammar = compiler.compile(compiler.behind_thoughts(wanted, HARMONY, "free"))
    texts = [driven(grammar.guide(), tokenizer, numbers, begun) for _ in range(12)]
    found = [answers("free").said(text, is_finished=True) for text in texts if text is not None]
    assert found
    for said in found:
        calls = [(call.name, json.loads(call.arguments)) for call in said.calls]
        assert calls == [("add", {"a": 1})] or (mode == "auto" and said.content in ("yes", "no") and not calls)
        assert said.thoughts == "Hm, 2 < 3." or not begun


def test_the_template_of_gpt_oss_tells_its_channels_and_reads_thoughts_back() -> None:
    assert thoughts_of(TEMPLATE) is HARMONY and format_of(TEMPLATE) is FORMATS["harmony"]
    tokenizer = make_tokenizer(MARKS)
    call: Json = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    said: Json = {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]}
    asked = chat_request({"messages": [{"role": "user", "content": "1?"}, said]})
    ids, start = PromptReader(tokenizer, 256, len(tokenizer), TEMPLATE).chat_begun(asked.conversation)
    assert start == "free"
    assert tokenizer.decode(ids) == (
        "<|start|>user<|message|>1?<|end|><|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant "
        'to=functions.add<|channel|>commentary json<|message|>{"a": 1}<|call|><|start|>assistant'
    )
