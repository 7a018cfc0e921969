"""Calls of tools in what models write: found in every family's form, and the same however the text comes."""

import json
import time

import pytest
from fgc_runtime.serve.call_formats import FORMATS, PLAIN, CallFormat, format_of
from fgc_runtime.serve.call_reader import Call, CallReader, Said
from fgc_runtime.serve.fields import Json

NAMES: dict[str, Json] = {
    "look_up": {"properties": {"day": {"type": "string"}}},
    "add": {
        "properties": {
            "a": {"type": "array"},
            "n": {"type": ["integer", "null"]},
            "s": {"enum": ["1"]},
            "f": {"type": "number"},
        }
    },
}
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
        "mistral-id",
        '[TOOL_CALLS]look_up[CALL_ID]Ab3dE6789[ARGS]{"day": "m}o\\"n"}[TOOL_CALLS]add[ARGS]{"a": [1, {"b": 2}]}',
        "",
        2,
    ),
    (
        "deepseek",
        "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>look_up\n```json\n"
        '{"day": "m}o\\"n"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n'
        '{"a": [1, {"b": 2}]}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        "Hm.",
        2,
    ),
    (
        "deepseek-v3.1",
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>look_up<｜tool▁sep｜>{"day": "m}o\\"n"}<｜tool▁call▁end｜>'
        '<｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": [1, {"b": 2}]}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        "",
        2,
    ),
    (
        "qwen3-coder",
        'Well.\n<tool_call>\n<function=look_up>\n<parameter=day>\nm}o"n\n</parameter>\n</function>\n</tool_call>\n'
        '<tool_call>\n<function=add>\n<parameter=a>\n[1, {"b": 2}]\n</parameter>\n</function>\n</tool_call>',
        "Well.",
        2,
    ),
    (
        "qwen3-coder",  # marks that the model left out
        'Well.\n<function=look_up>\n<parameter=day>\nm}o"n\n</function>\n</tool_call>\n'
        '<tool_call>\n<function=add>\n<parameter=a>\n[1, {"b": 2}]\n</parameter>\n</tool_call>',
        "Well.",
        2,
    ),
    (
        "glm",
        '<tool_call>look_up\n<arg_key>day</arg_key>\n<arg_value>m}o"n</arg_value>\n</tool_call>\n'
        '<tool_call>add<arg_key>a</arg_key><arg_value>[1, {"b": 2}]</arg_value></tool_call>',
        "",
        2,
    ),
    (
        "glm",  # a call that had to come
        '<tool_call>\n{"name": "look_up", "arguments": {"day": "m}o\\"n"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "add", "arguments": {"a": [1, {"b": 2}]}}\n</tool_call>',
        "",
        2,
    ),
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


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("n", "3", 3),
        ("n", "None", None),
        ("n", "null", None),
        ("n", "three", "three"),
        ("s", "1", "1"),
        ("other", "1", "1"),
        ("a", "[true]", [True]),
        ("a", "[True, None, 'x']", [True, None, "x"]),
        ("a", "{1, 2}", "{1, 2}"),
        ("a", "[NaN]", "[NaN]"),
        ("f", "NaN", "NaN"),
        ("f", "1e999", "1e999"),
        ("f", "0x10", "0x10"),
        ("a", '"x"', '"x"'),
    ],
)
def test_an_element_has_the_type_that_its_schema_allows(name: str, written: str, value: Json) -> None:
    text = f"<tool_call>\n<function=add>\n<parameter={name}>\n{written}\n</parameter>\n</function>\n</tool_call>"
    (call,) = CallReader(FORMATS["qwen3-coder"], NAMES).read(text, is_finished=True).calls
    assert json.loads(call.arguments) == {name: value}


INNER = "<tool_call>\n<function=add>\n<parameter=a>\n[3]\n</parameter>\n</function>\n</tool_call>"
INNER_GLM = "<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>[3]</arg_value>\n</tool_call>"


@pytest.mark.parametrize(
    "value",
    [
        "End it with </function> and </tool_call>.",
        "</parameter> is a mark, <parameter=x> too",
        f"One:\n{INNER}\nTwo:\n{INNER}\nThat is all.",
        "<function=add> is how it begins",
        "<arg_value>1</arg_value> is an element",
        f"One:\n{INNER_GLM}\nTwo:\n{INNER_GLM}\nThat is all.",
        "two\nlines\n",
        "\n\n",
        "",
    ],
)
def test_marks_in_a_value_are_part_of_it(value: str) -> None:
    written = {
        "qwen3-coder": "<function=look_up>\n<parameter=day>\n{}\n</parameter>\n</function>\n",
        "glm": "look_up\n<arg_key>day</arg_key>\n<arg_value>{}</arg_value>\n",
    }
    for name, call in written.items():
        text = f"<tool_call>\n{call.format(value)}</tool_call>\n"
        expected = Call("look_up", json.dumps({"day": value}))
        reader = CallReader(FORMATS[name], NAMES)
        assert reader.read(text * 2, is_finished=True) == Said("", (expected, expected))
        before = Said("")
        for end in range(len(text)):
            said = reader.read(text[:end], is_finished=False)
            assert len(said.calls) <= 1 and said.content == ""
            assert all(expected.arguments.startswith(call.arguments) for call in said.calls)
            assert len(said.calls) >= len(before.calls)
            before = said


def test_the_first_value_of_a_key_counts_as_a_stream_has_told_it() -> None:
    reader = CallReader(FORMATS["qwen3-coder"], NAMES)
    begun = "<function=add>\n<parameter=n>\n1\n</parameter>\n"
    text = f"{begun}<parameter=n>\n2\n</parameter>\n</function>"
    (told,), (call,) = reader.read(begun + "<", is_finished=False).calls, reader.read(text, is_finished=True).calls
    assert call.arguments.startswith(told.arguments) and json.loads(call.arguments) == {"n": 1}


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("<function=add>\n<parameter=a>\n[1]\n<parameter=n>\n2\n</parameter>\n</function>", {"a": [1], "n": 2}),
        ("<function=add>\n<parameter=a>\n[1]\n</parameter>\n", {"a": [1]}),
        ("  <function=add>\n</function>", {}),
    ],
)
def test_marks_that_the_model_left_out_are_read_as_if_they_were_there(text: str, arguments: Json) -> None:
    said = CallReader(FORMATS["qwen3-coder"], NAMES).read(text, is_finished=True)
    assert said.content == "" and [json.loads(call.arguments) for call in said.calls] == [arguments]


@pytest.mark.parametrize(
    ("name", "call", "words"),
    [
        ("qwen3-coder", INNER, "I called <function=add> with {a}."),
        ("glm", INNER_GLM, "add</tool_call> has {a}."),
        (
            "hermes",
            '<tool_call>\n{"name": "add", "arguments": {"a": [3]}}\n</tool_call>',
            'As {"name": "add", "arguments": {}}',
        ),
    ],
)
def test_words_behind_a_call_are_no_call(name: str, call: str, words: str) -> None:
    three = Call("add", '{"a": [3]}')
    reader = CallReader(FORMATS[name], NAMES)
    assert reader.read(f"{call}\n{words}", is_finished=True).calls == (three,)
    assert reader.read(f"{call}\n{words}\n{call}", is_finished=True).calls == (three, three)


@pytest.mark.parametrize("text", ["Write <function=add> so.", "<function=other>\n</function>", "<parameter=a>\n1"])
def test_a_head_within_a_line_or_of_another_tool_is_no_call(text: str) -> None:
    assert CallReader(FORMATS["qwen3-coder"], NAMES).read(text, is_finished=True) == Said(text)


def test_a_call_that_was_cut_keeps_what_there_is_of_its_arguments() -> None:
    said = CallReader(FORMATS["hermes"], NAMES).read(
        '<tool_call>{"name": "add", "arguments": {"a": 1', is_finished=True
    )
    assert said.calls == (Call("add", '{"a": 1'),)


def test_a_template_tells_its_family() -> None:
    assert format_of("... <tool_call>\n{...") is FORMATS["hermes"]
    assert format_of("[TOOL_CALLS] [...") is FORMATS["mistral-list"]
    assert format_of("[TOOL_CALLS]' + name + '[ARGS]'") is FORMATS["mistral"]
    assert format_of("[TOOL_CALLS]' + name + '[CALL_ID]' + id + '[ARGS]'") is FORMATS["mistral-id"]
    assert format_of("'functions.' + name + '<|channel|>commentary json<|message|>'") is FORMATS["harmony"]
    assert format_of("<tool_call>\n<function=") is FORMATS["qwen3-coder"]
    assert format_of("<tool_call>{{ name }}\n<arg_key>") is FORMATS["glm"]
    assert format_of("<｜tool▁sep｜>' + name + '\n```json") is FORMATS["deepseek"]
    assert format_of("<｜tool▁sep｜>' + arguments") is FORMATS["deepseek-v3.1"]
    assert format_of("""{{ '"parameters": ' }}""") is FORMATS["llama3"]
    assert format_of("{{ messages }}") is format_of(None) is PLAIN


def test_the_first_call_is_the_only_one_where_calls_are_not_to_be_parallel() -> None:
    name, text, _, _ = WRITTEN[1]
    for length in range(len(text) + 1):
        said = CallReader(form_of(name), NAMES, max_calls=1).read(text[:length], is_finished=length == len(text))
        assert said.calls in ((), (LOOK_UP,)) or LOOK_UP.arguments.startswith(said.calls[0].arguments)
        assert len(said.calls) <= 1
    assert said == Said("", (LOOK_UP,))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sign", [" ", "a", "{", '"'])
def test_an_answer_that_repeats_one_sign_is_read_in_linear_time(name: str, sign: str) -> None:
    """20,000 signs took 5 to 20 s where each began a search of its own."""
    form = FORMATS[name]
    for begun in (form.begin, f"{form.begin}{form.before}look_up{form.id_mark}"):
        started = time.process_time()
        CallReader(form, NAMES).read(begun + sign * 20_000, is_finished=False)
        assert time.process_time() - started < 1
