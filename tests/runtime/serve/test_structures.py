"""Answers by a grammar: a finished one always fits, whatever the model would rather say."""

import json
import random
import re

import jsonschema
import pytest
import torch
from fgc_runtime.generate.guides import Guide
from fgc_runtime.serve.call_formats import FORMATS, PLAIN, CallFormat
from fgc_runtime.serve.call_reader import CallReader
from fgc_runtime.serve.faults import RequestError
from fgc_runtime.serve.fields import Fields, Json
from fgc_runtime.serve.narrowing import narrowed
from fgc_runtime.serve.structure import asked_structure
from fgc_runtime.serve.structures import Structures
from fgc_runtime.serve.tools import asked_tools
from transformers import PreTrainedTokenizerFast

from tests.runtime.serve.conftest import make_tokenizer

END = 1
DAY = {"type": "object", "properties": {"day": {"$ref": "#/$defs/day"}}, "required": ["day"]} | {
    "additionalProperties": False,
    "$defs": {"day": {"enum": ["mon", "tue"]}},
}
SCHEMAS: list[Json] = [
    {"type": "integer", "minimum": -3, "maximum": 12},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    {"enum": ["a", 1, None, {"b": []}]},
    {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 4}]},
    {"type": "string", "pattern": "^[a-c]{2}/[0-9]$"},
    {"type": "string", "format": "date"},
    {"type": "object", "properties": {"x": {"type": "number"}, "y": {"const": "é"}}, "required": ["y"]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]},
    {"oneOf": [{"properties": {"k": {"const": k}}, "required": ["k"], "type": "object"} for k in ("a", "b")]},
    DAY,
    True,
]


def structures(tokenizer: PreTrainedTokenizerFast, form: CallFormat = PLAIN) -> Structures:
    return Structures(tokenizer, form, len(tokenizer) + 5, frozenset({END}))  # models pad their vocabularies


def driven(guide: Guide, tokenizer: PreTrainedTokenizerFast, numbers: random.Random, begun: str = "") -> str | None:
    """A text that begins so, and goes on with random tokens of those that may come; None if it did not end in 150."""
    ids: list[int] = tokenizer.encode(begun, add_special_tokens=False)
    for token in ids:
        guide.take(token)
    for _ in range(150):
        logits_V = torch.zeros(len(tokenizer) + 5)
        guide.restrict(logits_V)
        may_come = [int(token) for token in (logits_V == 0).nonzero()[:, 0]]
        assert guide.error is None and may_come and max(may_come) < len(tokenizer)
        if END in may_come and (len(may_come) == 1 or numbers.random() < 0.3):
            break
        ids.append(numbers.choice([token for token in may_come if token != END]))
        guide.take(ids[-1])
        if guide.is_over:
            break
    return str(tokenizer.decode(ids)) if guide.is_whole else None


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_a_finished_answer_fits_its_schema(schema: Json, tokenizer: PreTrainedTokenizerFast) -> None:
    wanted = asked_structure(Fields({"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}))
    assert wanted is not None
    grammar, numbers = structures(tokenizer).compile(wanted), random.Random(0)
    texts = [driven(grammar.guide(), tokenizer, numbers) for _ in range(8)]
    finished = [text for text in texts if text is not None]
    assert finished
    for text in finished:
        jsonschema.validate(json.loads(text), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"not": {}}, "not"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "nsatisfiable"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"$ref": "http://elsewhere.example/schema"}, "elsewhere"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "admits no"),
        ({"not": {}, "x-guidance": {"lenient": True}}, "not"),  # a schema does not loosen what is checked
        (False, "admits no"),
        ({"type": "strange"}, "strange"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_with_the_reason(
    schema: Json, reason: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        wanted = asked_structure(Fields({"structured_outputs": {"json": schema}}))
        assert wanted is not None
        structures(tokenizer).compile(wanted)
    assert (caught.value.fault.status, caught.value.fault.param) == (400, "structured_outputs.json")


@pytest.mark.parametrize("depth", [121, 2000])
def test_a_schema_that_is_nested_too_deeply_is_refused(depth: int) -> None:
    with pytest.raises(RequestError, match="more than 120 deep"):
        asked_structure(Fields({"guided_json": nested(depth)}))


def nested(depth: int) -> Json:
    schema: Json = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


def test_a_schema_of_the_deepest_kind_is_followed(tokenizer: PreTrainedTokenizerFast) -> None:
    """llguidance's own limit is a little beyond ours, which can say where it is."""
    wanted = asked_structure(Fields({"guided_json": nested(119)}))
    assert wanted is not None and structures(tokenizer).compile(wanted)


@pytest.mark.parametrize(
    "asked",
    [{"guided_regex": "(a{1000}){1000}"}, {"guided_choice": [str(i) for i in range(10_001)]}],
    ids=["too many states", "too many choices"],
)
def test_a_grammar_that_is_too_large_is_refused_at_once(asked: Json, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(RequestError):
        wanted = asked_structure(Fields(asked))
        assert wanted is not None
        structures(tokenizer).compile(wanted)


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"guided_regex": "[ab]{3}/[0-9]"}, r"[ab]{3}/\d"),
        ({"structured_outputs": {"regex": "a\nb|c"}}, r"a\nb|c"),
        ({"guided_choice": ["yes", 'no "x"\n']}, r'yes|no "x"\n'),
        ({"guided_grammar": '%llguidance {}\nstart: A ("," A){0,2}\nA: /[0-9]/'}, r"\d(,\d){0,2}"),
        ({"guided_json": '{"const": 5}'}, "5"),
        ({"response_format": {"type": "json_object"}}, r"\{.*\}"),
        ({"response_format": {"type": "json_object", "schema": {"enum": [7]}}}, "7"),  # as llama.cpp has it
        ({"response_format": {"type": "json_schema", "schema": {"enum": [7]}}}, "7"),
    ],
)
def test_patterns_choices_and_grammars_are_followed(asked: Json, fits: str, tokenizer: PreTrainedTokenizerFast) -> None:
    wanted = asked_structure(Fields(asked))
    assert wanted is not None
    grammar, numbers = structures(tokenizer).compile(wanted), random.Random(0)
    texts = {driven(grammar.guide(), tokenizer, numbers) for _ in range(8)} - {None}
    assert texts and all(re.fullmatch(fits, text, re.DOTALL) for text in texts if text is not None)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_object", "regex": "a"}}, "response_format.regex"),
        ({"response_format": {"type": "text", "schema": {}}}, "response_format.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 3}}},
            "response_format.json_schema.schema",
        ),
        ({"structured_outputs": {"json": {}, "regex": "a"}}, "structured_outputs"),
        ({"structured_outputs": {"yaml": {}}}, "structured_outputs.yaml"),
        ({"guided_json": {}, "guided_regex": "a"}, "guided_regex"),
        ({"guided_json": "{"}, "guided_json"),
        ({"guided_choice": []}, "guided_choice"),
        ({"guided_grammar": "a: b"}, "guided_grammar"),
    ],
)
def test_a_wrong_wish_is_refused(asked: Json, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked_structure(Fields(asked))
    assert (caught.value.fault.status, caught.value.fault.param) == (400, param)


def tool(name: str, parameters: Json) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


ADD: dict[str, Json] = {
    "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}},
    "additionalProperties": False,
}
TOOLS = [tool("look_up", DAY), tool("add.2", ADD)]


@pytest.mark.parametrize("form", [*FORMATS.values(), PLAIN])
@pytest.mark.parametrize("is_parallel", [True, False])
def test_an_answer_that_must_call_does_and_by_the_tools_schema(
    form: CallFormat, is_parallel: bool, tokenizer: PreTrainedTokenizerFast
) -> None:
    wishes = asked_tools(Fields({"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": is_parallel}))
    assert wishes is not None
    compiler, numbers = structures(tokenizer, form), random.Random(1)
    wanted = compiler.wanted(None, wishes)
    assert wanted is not None
    grammar, reader = compiler.compile(wanted), CallReader(form, {"look_up": DAY, "add.2": ADD})
    texts = [driven(grammar.guide(), tokenizer, numbers) for _ in range(8)]
    counts = set()
    for text in texts:
        if text is not None:
            said = reader.read(text, is_finished=True)
            counts.add(len(said.calls))
            assert said.content == "" and said.calls
            for call in said.calls:
                schema = {"look_up": DAY, "add.2": {**ADD, "type": "object"}}[call.name]
                jsonschema.validate(json.loads(call.arguments), schema, jsonschema.Draft202012Validator)
    assert counts if is_parallel else counts == {1}


def test_a_named_tool_is_the_one_that_is_called(tokenizer: PreTrainedTokenizerFast) -> None:
    choice = {"type": "function", "function": {"name": "look_up"}}
    wishes = asked_tools(Fields({"tools": TOOLS, "tool_choice": choice}))
    assert wishes is not None and [each.name for each in wishes.tools] == ["look_up", "add.2"]
    compiler = structures(tokenizer, FORMATS["hermes"])
    wanted = compiler.wanted(None, wishes)
    assert wanted is not None
    numbers = random.Random(1)
    for text in [driven(compiler.compile(wanted).guide(), tokenizer, numbers) for _ in range(8)]:
        said = CallReader(compiler.form, {"look_up": DAY}).read(text or "", is_finished=True)
        assert text is None or [call.name for call in said.calls] == [
            "look_up"
        ]  # once: clients that name one expect one


def test_a_named_tool_is_called_once_unless_several_calls_are_wanted() -> None:
    choice = {"type": "function", "function": {"name": "look_up"}}
    several = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [choice]}}
    for fields, expected in (
        ({"tool_choice": choice}, False),
        ({"tool_choice": choice, "parallel_tool_calls": True}, True),
        ({"tool_choice": several}, None),
        ({"tool_choice": "required"}, None),
    ):
        wishes = asked_tools(Fields({"tools": TOOLS, **fields}))
        assert wishes is not None and wishes.is_parallel is expected


def test_plain_json_names_the_tool(tokenizer: PreTrainedTokenizerFast) -> None:
    wishes = asked_tools(Fields({"tools": TOOLS, "tool_choice": {"name": "look_up"}}))
    compiler = structures(tokenizer)
    wanted = compiler.wanted(None, wishes)
    assert wanted is not None
    text = driven(compiler.compile(wanted).guide(), tokenizer, random.Random(0))
    assert text is not None and json.loads(text)["name"] == "look_up"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "any"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": [*TOOLS, TOOLS[0]]}, "tools"),
        ({"tools": [tool("a b", {})]}, "tools[0].function.name"),
        ({"tools": [tool("a", "x")]}, "tools[0].function.parameters"),
        ({"tools": [{"type": "browser"}]}, "tools[0].type"),
        ({"tools": "x"}, "tools"),
    ],
)
def test_wrong_tools_are_refused(asked: Json, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked_tools(Fields(asked))
    assert (caught.value.fault.status, caught.value.fault.param) == (400, param)


OPEN: Json = {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}


def test_an_object_has_the_properties_that_are_named() -> None:
    assert narrowed({"properties": {"x": OPEN, "y": {"items": {"anyOf": [OPEN, True]}}}}) == {
        "properties": {
            "x": {**OPEN, "additionalProperties": False},
            "y": {"items": {"anyOf": [{**OPEN, "additionalProperties": False}, True]}},
        },
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"properties": {"a": {}}, "required": ["b"]},
        {"properties": {"a": {}}, "additionalProperties": {"type": "null"}},
        {"properties": {"a": {}}, "minProperties": 2},
        {"allOf": [OPEN, {"properties": {"b": {}}}]},
        {"$defs": {"o": OPEN}, "$ref": "#/$defs/o", "properties": {"b": {}}},
        {"properties": {"b": {}}, "anyOf": [OPEN, {"required": ["b"]}]},
        {"enum": [{"properties": {"a": 1}}]},
    ],
    ids=str,
)
def test_an_object_that_may_or_must_have_others_is_left(schema: dict[str, Json]) -> None:
    assert narrowed(schema) == schema


def test_a_marker_without_a_role_is_written_as_its_token() -> None:
    """Mistral's marker of calls, spelt in letters, would be read as words."""
    tokenizer = make_tokenizer(["[TOOL_CALLS]"])
    marker = tokenizer.convert_tokens_to_ids("[TOOL_CALLS]")
    made = structures(tokenizer, FORMATS["mistral-list"])
    tool: Json = {"type": "function", "function": {"name": "f", "parameters": DAY}}
    wanted = made.wanted(None, asked_tools(Fields({"tools": [tool], "tool_choice": "required"})))
    assert wanted is not None and marker in made.shown_ids
    logits_V = torch.zeros(len(tokenizer) + 5)
    made.compile(wanted).guide().restrict(logits_V)
    assert [int(token) for token in (logits_V == 0).nonzero()[:, 0]] == [marker]
