"""No template reaches Python internals, the environment or files outside its search path."""

import pytest
import yaml
from fgc.resolve.environment import as_flow_item, to_yaml

from tests.corpus.case import compile_texts

_ESCAPES = [
    "''.__class__",
    "''.__class__.__mro__[1].__subclasses__()",
    "''['__class__']",
    "'' | attr('__class__')",
    "('' | attr('format')).__globals__",
    "[''] | map(attribute='__class__') | list",
    "[''] | map('attr', '__class__') | list",
    "[1] | groupby('__class__') | list",
    "[''] | sort(attribute='__class__.__name__') | map(attribute='__class__') | list",
    "['__class__'] | map('upper') | first | lower | attr('x')",
    "cycler.__init__.__globals__",
    "cycler(1).__init__",
    "joiner.__init__.__globals__['__builtins__']",
    "namespace.__init__",
    "namespace(x=1).__class__",
    "namespace(x=1)['__class__']",
    "lipsum.__globals__",
    "range.__class__",
    "dict.mro()",
    "dict.__subclasses__()",
    "'{0.__class__}'.format('')",
    "'{0[__class__]}'.format({})",
    "'{x.__class__}'.format_map({'x': 1})",
    "'%s'.__mod__",
    "'{0.__class__}' | format(1)",
    "self.__class__",
    "self._find",
    "self._names",
    "loop._recurse",
    "m._run",
    "m._call_at",
    "m.__call__",
    "m.__init__.__globals__",
    "m['_run']",
    "m | attr('_run')",
    "lib.__dict__",
    "lib['__dict__']",
    "lib.__class__",
    "lib | attr('__dict__')",
    "joinpath.__closure__",
    "joinpath.__globals__",
    "isotime.__globals__",
    "isotime.__closure__[0].cell_contents",
    "now().__class__",
    "now().__reduce__()",
    "versions._versions",
    "versions.__class__",
    "uname.__class__",
    "repr.__self__",
    "repr.__module__",
    "([1] | map('upper')).gi_frame",
    "([1] | map('upper')).gi_code",
    "[1] | xmlattr",
    "u.__class__",
    "(1 if false).__class__",
    "(1 if false)._fail_with_undefined_error",
    "u | attr('place')",
    "environment",
    "context",
    "get_flashed_messages",
    "config",
    "request.application",
    "caller.__class__",
    "super._render",
    "super.__class__",
    "[].append.__self__.__class__",
    "''.join.__self__.__class__",
    "{}.get.__class__",
    "true.__class__",
    "none.__class__",
    "1 .__class__",
    "2.5.__class__",
    "(x for x in [1])",
    "lambda: 1",
]
_TEMPLATE = """-- macro m(a=1)
x
-- endmacro
-- import "lib" as lib
[b]
-- for i in [1]
out: {{ EXPRESSION }}
-- endfor
"""


@pytest.mark.parametrize("expression", _ESCAPES)
def test_an_escape_prints_nothing_of_python(expression: str) -> None:
    compilation = compile_texts({"main.yaml": _TEMPLATE.replace("EXPRESSION", expression), "lib": "-- set x = 1\n"})
    text = compilation.document.text
    assert not any(word in text for word in ("<class", "<function", "<built-in", "<module", "mappingproxy", "<code"))
    if "out: undefined" not in text:
        printed = text.partition("out: ")[2].strip()
        assert printed in ("", "[]", "xupper", "__class__", "{0.__class__}", "builtins"), printed
    else:
        assert compilation.has_errors


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "..", ".", "", "a//../b", "~/x"])
def test_a_template_name_stays_on_the_search_path(name: str) -> None:
    compilation = compile_texts({"main.yaml": f"-- include '{name}'\na: 1\n"})
    assert [finding.code for finding in compilation.diagnostics] in (["FGC201"], ["FGC213"])


def test_no_variable_of_the_process_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "1234")
    text = "a: {{ environ }}\nb: {{ env }}\nc: {{ os }}\nd: {{ abspath('x') | replace('1234', '') }}\n"
    compilation = compile_texts({"main.yaml": text})
    assert "1234" not in compilation.document.text


@pytest.mark.parametrize("value", ["a, b", "x]", "{", "a: b", "plain", "1", ["a, b"], {"k": "a}"}, None, True])
def test_a_value_printed_as_yaml_is_one_item_of_a_list(value: object) -> None:
    assert yaml.safe_load(f"[{as_flow_item(to_yaml(value))}]") == [value]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("a: {{ 'x,y' | toyaml }}\n", "a: x,y\n"),
        ("a:\n  - &b !!str {{ none_given | toyaml('x,y') }}  # b\nc: 1\n", "a:\n  - &b !!str x,y  # b\nc: 1\n"),
        ("a: [ {{ 'x,y' | toyaml }} ]\n", "a: [ 'x,y' ]\n"),
        ("a: {\n  b: {{ 'x,y' | toyaml }}\n}\n", "a: {\n  b: 'x,y'\n}\n"),
        ("a: {\n  b: {{ 'x,y' | toyaml }},\n}\n", "a: {\n  b: 'x,y',\n}\n"),
        ("a: [\n  {{ 'x,y' | toyaml }}\n]\n", "a: [\n  'x,y'\n]\n"),
        ("-- set b = 'x,y' | toyaml\na: [ {{ b }} ]\n", "a: [ 'x,y' ]\n"),
    ],
)
def test_toyaml_quotes_commas_only_where_a_list_would_split_them(template: str, text: str) -> None:
    assert compile_texts({"main.yaml": template}).document.text == text.rstrip("\n")
