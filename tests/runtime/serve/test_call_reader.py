"""Calls of tools in what models write: found in every family's form, and the same however the text comes."""

import json

import pytest
from fgc_runtime.serve.call_formats import FORMATS, PLAIN, CallFormat, format_of
from fgc_runtime.serve.call_reader import Call, CallReader, Said

NAMES = frozenset({"look_up", "add"})
LOOK_UP, ADD = Call("look_up", '{"day": "m}o\\"n"}'), Call("add", '{"a": [1, {"b": 2}]}')

WRITTEN = [
    ("hermes", 'Well.\n<tool_call>\n{"name": "look_up", "arguments": {"day": "m}o\\"n"}}\n</tool_call>', "Well.", 1),
    (
        "hermes",
        '<tool_call>{"name": "look_up", "arguments": {"day": "m}o\\"n"}}</tool_call>\n'
        '<tool_call>\n{"name":"add","arguments":{"a": [1, {"b": 2}]}}</tool_call>',
        "",
        2,
    ),
    ("llama3", '{"name": "look_up", "parameters": {"day": "m}o\\"n"}}', "", 1),
    ("llama3", '<|python_tag|>{"name": "look_up", "parameters": {"day": "m}o\\"n"}}', "", 1),
    (
        "mistral-list",
        'I see [TOOL_CALLS] [{"name": "look_up", "arguments": {"day": "m}o\\"n"}}, '
        '{"name": "add", "arguments": {"a": [1, {"b": 2}]}}]',
        "I see",
        2,
    ),
    ("mistral", '[TOOL_CALLS]look_up[ARGS]{"day": "m}o\\"n"}[TOOL_CALLS]add[ARGS]{"a": [1, {"b": 2}]}', "", 2),
    (
        "json",
        '{"name": "look_up", "arguments": {"day": "m}o\\"n"}}\n{"name": "add", "arguments": {"a": [1, {"b": 2}]}}',
        "",
        2,
    ),
]


def form_of(name: str) -> CallFormat:
    return FORMATS.get(name, PLAIN)


@pytest.mark.parametrize(("name", "text", "content", "num_calls"), WRITTEN)
def test_calls_are_found_in_each_familys_form(name: str, text: str, content: str, num_calls: int) -> None:
    reader = CallReader(form_of(name), NAMES)
    assert reader.read(text, is_finished=True) == Said(content, (LOOK_UP, ADD)[:num_calls])


@pytest.mark.parametrize(("name", "text", "content", "num_calls"), WRITTEN)
def test_what_is_found_only_grows_with_the_text(name: str, text: str, content: str, num_calls: int) -> None:
    reader, before = CallReader(form_of(name), NAMES), Said("")
    for end in range(len(text) + 1):
        said = reader.read(text[:end], is_finished=end == len(text))
        assert said.content.startswith(before.content)
        assert len(said.calls) >= len(before.calls)
        for call, earlier in zip(said.calls, before.calls, strict=False):
            assert call.name == earlier.name and call.arguments.startswith(earlier.arguments)
        before = said


@pytest.mark.parametrize("name", [*FORMATS, "json"])
@pytest.mark.parametrize(
    "text", ["Just words {", '{"a": 1}', "a < b <tool", '{"name": "other", "arguments": {}}', "[1]"]
)
def test_words_stay_words(name: str, text: str) -> None:
    assert CallReader(form_of(name), NAMES).read(text, is_finished=True) == Said(text)


def test_fields_in_another_order_and_arguments_in_a_string_are_read() -> None:
    reader = CallReader(FORMATS["hermes"], NAMES)
    turned = '<tool_call>{"arguments": {"a": "é"}, "name": "add"}</tool_call>'
    assert reader.read(turned, is_finished=True).calls == (Call("add", '{"a": "é"}'),)
    assert reader.read(turned[:30], is_finished=False).calls == ()
    text = '<tool_call>{"name": "add", "arguments": "{\\"a\\": 1}"}</tool_call>'
    assert reader.read(text, is_finished=True).calls == (Call("add", '{"a": 1}'),)
    none = '<tool_call>{"name": "add", "arguments": null}</tool_call>'
    assert json.loads(reader.read(none, is_finished=True).calls[0].arguments) == {}


def test_a_call_that_was_cut_keeps_what_there_is_of_its_arguments() -> None:
    said = CallReader(FORMATS["hermes"], NAMES).read(
        '<tool_call>{"name": "add", "arguments": {"a": 1', is_finished=True
    )
    assert said.calls == (Call("add", '{"a": 1'),)


def test_a_template_tells_its_family() -> None:
    assert format_of("... <tool_call>\n{...") is FORMATS["hermes"]
    assert format_of("[TOOL_CALLS] [...") is FORMATS["mistral-list"]
    assert format_of("[TOOL_CALLS]' + name + '[ARGS]'") is FORMATS["mistral"]
    assert format_of("""{{ '"parameters": ' }}""") is FORMATS["llama3"]
    assert format_of("{{ messages }}") is format_of(None) is PLAIN
