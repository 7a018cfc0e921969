"""Options of a configuration as options of its program: running with a value is building with it."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compiler.cli.conftest import Run

CONFIG = """\
-- set ns = namespace()
-- set ns.lr = lr | default(1.0e-3)
-- macro size(given)
{{ given }}
-- endmacro
main: !call:print
  - !call:dict
    steps: {{ max_steps | default(400) }}
    again: [ {{ max_steps | default(400) }}, 400 ]
    lr: {{ ns.lr }}
    name: {{ name | default('tiny') | toyaml }}
    kind: {{ kind | default('small') }}
    flag: {{ flag | default(true) }}
    fast: {{ fast | default(false) }}
    slow: {{ slow | default(true) }}
    eval: {{ eval_steps | default(none) | toyaml }}
    data: {{ data | default('/data') | toyaml }}
    width: {{ size(width | default(8)) }}
dynamic_args:
    max_steps: { names: [--max-steps, -s], type: int, help: "How many steps, 100% of them" }
    lr: { type: float }
    name: { help: What to call it, metavar: WORD }
    kind: { names: --size, choices: [small, large] }
    flag: { type: bool }
    fast: { action: store_true, help: Be fast }
    slow: { action: store_false }
    eval_steps: { type: int }
    data: { type: path }
    width: { type: int }
"""
GIVEN = [
    ["--max-steps", "50"],
    ["-s", "-3"],
    *(["--lr", text] for text in ("0.5", "1e-5", "3", "1e30", "inf", "-0.0", "nan")),
    *(["--name", text] for text in ("big", "10", "a: b", "yes", "", " x ", 'it\'s "q"', "ü\n-", "~", "{{ x }}", "#")),
    ["--size", "large"],
    ["--flag", "no"],
    ["--fast", "--slow"],
    ["--eval-steps", "7"],
    ["--data", "some/../where"],
    ["--width", "0", "--max-steps", "400", "--lr", "2.5e-05", "--name", "null"],
]


@pytest.fixture
def program(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a built program with options; what it prints."""

    def call(folder: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [f"{folder}/train.py", *words])
        runpy.run_path(f"{folder}/train.py", run_name="__main__")
        return capsys.readouterr().out

    return call


def build(run: Run, text: str, *words: str, folder: str = "out") -> str:
    Path("c.yaml").write_text(text, encoding="utf-8")
    result = run("build", "c.yaml", "-o", folder, *words)
    assert result.code == 0, result.err
    return result.out


def test_running_with_an_option_is_building_with_it(run: Run, program: Callable[..., str]) -> None:
    build(run, CONFIG)
    assert program("out").startswith("{'steps': 400, 'again': [400, 400], 'lr': 0.001, 'name': 'tiny',")
    for number, words in enumerate(GIVEN):
        build(run, CONFIG, *words, folder=f"built_{number}")
        with_option = program("out", *words)
        assert with_option == program(f"built_{number}"), words
        assert with_option != program("out"), words


COMPUTED = """\
-- set width = size | default(2)
main: !call:print
  - "{{ name | default('a') }}"
  - run/{{ name | default('a') }}/{{ width }}
  - {{ width * 4 + 1 }}
  - {{ 7 - (width - 1) / 2 }}
  - {{ -width // 2 }}
  - '{{ width }}'
  - {{ lr | default(0.5) * width }}
  - {{ 'x-y' if width > 3 else 'small' }}
  - {{ lr | default(0.5) if kind | default('fast') == 'fast' else 2.5 }}
  - {{ "w" ~ width ~ "_px" }}
  - {{ ([width, lr | default(0.5) * 6] | max | int) ** 2 }}
  - {{ ((width * width) ** 0.5) | toyaml }}
  - {{ not fast | default(false) }}
  - {{ not name | default('a') }}
  - "{{ width if kind | default('fast') == 'fast' else -width }}{{ not kind | default('fast') != 'slow' }}!"
  - {{ [(0 - width) | abs | float, 3] | min }}
  - {{ [width] | max }}
dynamic_args:
    name: {}
    size: { type: int }
    lr: { type: float }
    kind: { choices: [fast, slow] }
    fast: { action: store_true }
"""
COMPUTED_GIVEN = [
    ["--name", "b c"],
    ["--size", "7"],
    ["--size", "-1", "--lr", "3"],
    ["--kind", "slow", "--size", "3", "--fast"],
    ["--lr", "1e-05", "--name", ""],
]


OF_TOYAML = """\
main: !call:print
  - {{ backend | toyaml("cuda:nccl,cpu:gloo") }}
  - {{ flag | toyaml(False) }}
  - {{ size | toyaml(None) }}
  - [ {{ words | toyaml("a, b") }} ]
dynamic_args:
    backend: {}
    flag: { action: store_true }
    size: { type: int }
    words: {}
"""


def test_an_option_with_a_default_of_toyaml_stays_open(run: Run, program: Callable[..., str]) -> None:
    said = build(run, OF_TOYAML)
    assert "its options:  --backend, --flag, --size, --words\n" in said and "fixed by the build" not in said
    assert program("out") == "cuda:nccl,cpu:gloo False None ['a, b']\n"
    words = ["--backend", "1, x", "--flag", "--size", "3", "--words", "x, y: z"]
    build(run, OF_TOYAML, *words, folder="built")
    assert program("out", *words) == program("built") == "1, x True 3 ['x, y: z']\n"


def test_options_in_texts_and_arithmetic_and_choices_stay_open(run: Run, program: Callable[..., str]) -> None:
    said = build(run, COMPUTED)
    assert "its options:  --name, --size, --lr, --kind, --fast\n" in said and "fixed by the build" not in said
    for number, words in enumerate(COMPUTED_GIVEN):
        build(run, COMPUTED, *words, folder=f"built_{number}")
        with_option = program("out", *words)
        assert with_option == program(f"built_{number}"), words
        assert with_option != program("out"), words


def test_an_operation_with_an_option_that_is_fixed_keeps_its_value(run: Run, program: Callable[..., str]) -> None:
    text = "main: !call:print [ {{ x | default(1) * y | default(3) }} ]\n-- if y | default(3) > 2\nb: 1\n-- endif\n"
    build(run, text + "dynamic_args: { x: { type: int }, y: { type: int } }\n")
    assert program("out", "--x", "5") == "15\n"
    assert "arguments.x * 3" in Path("out/train.py").read_text()


def test_a_choice_that_the_build_has_made_is_none_of_the_program(run: Run, program: Callable[..., str]) -> None:
    text = """\
main: !call:print
  - {{ (a | default(2) if y | default(1) > 2 else b | default(3)) * 2 }}
  - "{{ c | default('c') if y | default(1) == 1 else d | default('d') }}"
-- if y | default(1) > 5
other: 1
-- endif
dynamic_args: { a: { type: int }, b: { type: int }, c: {}, d: {}, y: { type: int } }
"""
    said = build(run, text)
    assert "--a, because a choice that the build made does not use it (c.yaml:2:8)" in said
    assert "its options:  --b, --c\n" in said
    assert "print(arguments.b * 2, arguments.c)" in Path("out/train.py").read_text()
    assert program("out", "--b", "5", "--c", "x") == "10 x\n"


def test_the_help_says_what_was_declared(
    run: Run, program: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = build(run, CONFIG, "--max-steps", "50")
    names = "--max-steps, --lr, --name, --size, --flag, --fast, --slow, --eval-steps, --data, --width"
    assert f"its options:  {names}\n" in said
    assert "fixed by the build" not in said
    with pytest.raises(SystemExit):
        program("out", "--help")
    text = capsys.readouterr().out
    for part in ("How many steps, 100% of them (default: 50)", "{small,large}", "--name WORD", "Be fast\n"):
        assert part in text


@pytest.mark.parametrize(
    "words",
    [["--max-steps", "x"], ["--size", "huge"], ["--flag", "maybe"], ["--max-stpes", "1"], ["--max", "1"], ["--fas"]],
)
def test_a_wrong_option_is_refused_before_anything_is_constructed(
    run: Run, program: Callable[..., str], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    build(run, CONFIG)
    with pytest.raises(SystemExit, match="2"):
        program("out", *words)
    assert capsys.readouterr().out == ""


CLOSED = {
    "main: !call:print [ 1 ]\n-- if x | default(1) > 2\nother: 1\n-- endif\n": "a condition depends on it (c.yaml:2:7)",
    "main: !call:print [ {{ 2 if x is defined else 1 }} ]\n": "a test asks if it is set (c.yaml:1:29)",
    "main: !call:print [ 1{{ x | default(1) }} ]\n": (
        "it is a part of a text, and YAML may read that as something else: write it in quotes (c.yaml:1:25)"
    ),
    "main: !call:print [ '{{ x | default(1.5) }}' ]\n": (
        "it is a part of a text, in which a number such as 1e-05 is written as 1.0e-05 (c.yaml:1:25)"
    ),
    "main: !call:print [ {{ x | default('a') * 2 }} ]\n": "`*` computes with it (c.yaml:1:24)",
    "main: !call:print [ {{ 'yes' if x | default(1) > 2 else 'maybe' }} ]\n": (
        "YAML may read one of the texts as something else: write it in quotes (c.yaml:1:24)"
    ),
    "main: !call:print [ {{ (x | default(1)) | round }} ]\n": "the filter `round` changes it (c.yaml:1:24)",
    "main: !call:dict { {{ x | default('a') }}: 1 }\n": "it is a key (c.yaml:1:23)",
    "main: !call:{{ x | default('print') }} [ 1 ]\n": "it is not in a value (c.yaml:1:16)",
    "main: !call:print [ {{ x | default(1) }}, {{ x | default(2) }} ]\n": "it has two defaults: 1 and 2 (c.yaml:1:46)",
    "main: !call:print [ {{ x | default('a') }} ]\n": "its default 'a' is not of type int (c.yaml:1:24)",
    "main: !call:print [ !var { name: v, default: {{ x | default(1) }} } ]\n": "it belongs to a `!var` (c.yaml:1:49)",
    "main: !call:print [ 1 ]\nother: {{ x | default(1) }}\n": "no value that the program constructs uses it",
    "main: !call:print [ 1 ]\n": "no template of this configuration reads it",
    "a: &a {{ x | default(1) }}\nmain: !call:print [ *a ]\nmeta: { config_class: *a }\n": (
        "it is the program's `config_class` (c.yaml:1:10)"
    ),
    "main: !call:print [ {{ [x | default(1)] }} ]\n": "it is put into a list or mapping (c.yaml:1:25)",
    "-- for i in range(x | default(1))\n-- endfor\nmain: !call:print [ 1 ]\n": "`range` takes it (c.yaml:1:13)",
}


@pytest.mark.parametrize(("text", "reason"), CLOSED.items())
def test_what_a_value_decides_is_fixed_by_the_build(run: Run, text: str, reason: str) -> None:
    said = build(run, f"{text}dynamic_args: {{ x: {{ type: int }} }}\n")
    assert f"fixed by the build:  --x, because {reason}\n" in said
    assert "its options" not in said


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("{ choices: [a, 'no'] }", "'a'", "YAML may read a text as something else: write `{{ x | toyaml }}`"),
        ("{ names: --resume, type: int }", "1", "`--resume` is an option of every program"),
        ("{ nargs: '+' }", "'a'", "it takes several values"),
        ("{ action: append }", "'a'", "it takes several values"),
        ("{ action: count }", "2", "it is counted from 0, and its default is 2"),
        ("{ nargs: '?' }", "project_dir", "without a value, it is its default, project_dir"),
    ],
)
def test_an_option_that_would_not_be_exact_is_fixed_by_the_build(run: Run, entry: str, value: str, reason: str) -> None:
    said = build(run, f"main: !call:print [ {{{{ x | default({value}) }}}} ]\ndynamic_args: {{ x: {entry} }}\n")
    assert f"because {reason} (c.yaml:1:24)\n" in said


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\"{{ x | default('') }}\"", "its default '' is not of type float"),
        ("{{ x | default('') }}", "it is empty, which YAML reads as null"),
        ('"{{ x | default(project_dir) }}"', "its default project_dir is not of type float"),
        ("{{ x | default([1]) }}", "its default is a list or a mapping"),
        ("!!float {{ x | default(1) }}", "`!!float` reads it"),
    ],
)
def test_a_default_that_keeps_an_option_from_being_one_is_named(run: Run, value: str, reason: str) -> None:
    told = build(run, f"dynamic_args: {{ x: {{ type: float }} }}\nmain: !call:print\n  - {value}\n")
    assert f"--x, because {reason} (c.yaml:3:" in told


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("(x | default(2) if n | default(3) > 1 else 1) * 2", "`*` computes with it, but it is not a number"),
        ("(n | default(x | default(2))) * 2", "`*` computes with it, but it is not a number"),
        (
            "joinpath('a', 'b' if x | default('c') == 'c' else n | default(3))",
            "`joinpath` takes it, but it is not a text",
        ),
    ],
)
def test_an_operation_that_a_choice_or_a_default_leads_to_fixes_an_option_too(
    run: Run, value: str, reason: str
) -> None:
    told = build(run, f"dynamic_args: {{ x: {{}}, n: {{ type: int }} }}\nmain: !call:print\n  - {{{{ {value} }}}}\n")
    assert f", because {reason} (c.yaml:3:" in told


def test_counts_constants_and_words_that_may_lack_are_options(run: Run, program: Callable[..., str]) -> None:
    text = """\
main: !call:print
  - {{ loud | default(0) }}
  - {{ precision | default('float32') }}
  - {{ resume_at | default(7) }}
  - "{{ mode | default('none') }}"
dynamic_args:
    loud: { names: [--loud, -l], action: count }
    precision: { names: --half, action: store_const, const: bfloat16 }
    resume_at: { nargs: '?', type: int, const: 3 }
    mode: { nargs: '?' }
"""
    assert "its options:  --loud, --half, --resume-at, --mode\n" in build(run, text)
    for number, words in enumerate((["-ll", "--half"], ["--resume-at", "--mode"], ["--resume-at", "5", "--mode", "x"])):
        build(run, text, *words, folder=f"built_{number}")
        assert program("out", *words) == program(f"built_{number}") != program("out"), words


DEPENDENT = """\
-- set home = home | default(joinpath(user_home_dir, 'models'))
-- set model = model | default(joinpath(home, 'tiny'))
-- set result = result | default(model)
-- set name = name | default('log')
main: !call:print
  - "{{ model }}"
  - {{ result }}
  - "{{ joinpath(result, 'runs', name ~ '_' ~ hostname) }}"
  - "{{ joinpath(result, 'runs', name ~ '_' ~ hostname) }} again"
  - "{{ basename(joinpath('a', name)) }}"
  - in {{ project_dir }} by {{ name }}
  - {{ kind | default('float32') }}
  - {{ weights | default(true) }}
  - "{{ chat | default('chat/it') }}"
  - {{ quality | default('0.0') }}
  - {{ b | default(a | default(3)) }}
  - {{ ((c | default(a | default(3))) * 2) | toyaml }}
  - {{ flag | default(none) | toyaml }}
dynamic_args:
    home: { type: path, help: Where models are }
    model: { type: path }
    result: { type: path, help: Where to write }
    name: {}
    kind: {}
    weights: { type: path }
    chat: { type: path }
    quality: { type: float }
    a: { type: int }
    b: { type: int }
    c: { type: int }
    flag: { action: store_true }
"""
DEPENDENT_GIVEN = [
    [],
    ["--home", "h"],
    ["--model", "m/../n"],
    ["--result", "/o", "--home", "~/h"],
    ["--result", "/o", "--model", "m", "--name", "a b"],
    *(["--kind", text] for text in ("10", "yes", "~", "1e-5", "a b")),
    ["--weights", "r", "--chat", "c", "--quality", "1e-5", "--flag"],
    ["--a", "5", "--b", "7", "--name", "10"],
    ["--c", "0", "--a", "5"],
]


def test_options_with_a_default_of_the_run_or_of_another_option_stay_open(
    run: Run, program: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = build(run, DEPENDENT)
    assert "fixed by the build" not in said and "FGC" not in said
    text = Path("out/train.py").read_text()
    assert "if arguments.result is None:\n        arguments.result = arguments.model\n" in text
    assert str(Path.home()) not in text + Path("out/config.yaml").read_text() + Path("out/graph.json").read_text()
    for number, words in enumerate(DEPENDENT_GIVEN):
        build(run, DEPENDENT, *words, folder=f"built_{number}")
        with_option = program("out", *words)
        assert with_option == program(f"built_{number}"), words
        assert (with_option != program("out")) is bool(words), words
    with pytest.raises(SystemExit):
        program("out", "--help")
    assert "Where to write (default: that of --model)" in capsys.readouterr().out


def test_a_default_that_texts_have_in_common_is_known_before_they_are(run: Run, program: Callable[..., str]) -> None:
    path = "joinpath(project_dir, base | default('runs'))"
    text = f"main: !call:print\n  - '{{{{ {path} }}}}'\n  - '{{{{ {path} }}}}'\n  - '{{{{ out | default({path}) }}}}'\n"
    build(run, text.replace("'runs'", '"runs"') + "dynamic_args: { base: {}, out: {} }\n")
    base = Path.cwd()
    assert program("out", "--base", "b") == f"{base}/b {base}/b {base}/b\n"
    assert program("out", "--out", "o") == f"{base}/runs {base}/runs o\n"


def test_a_word_for_null_is_not_taken_for_one_that_is_left_out(run: Run, program: Callable[..., str]) -> None:
    text = "main: !call:print [ {{ x | default(y | default('a')) }} ]\ndynamic_args: { x: {}, y: {} }\n"
    build(run, text)
    for words, printed in ((["--x", "null"], "None"), (["--y", "b"], "b"), (["--x", "~", "--y", "b"], "None")):
        build(run, text, *words, folder="again")
        assert program("out", *words) == program("again") == f"{printed}\n"


@pytest.mark.parametrize("word", ["a: b", "[a]", "a #b", "'a'", "2024-01-01", "a, b", "&a b", "a\nb", "{", "a]"])
def test_a_word_that_would_be_more_than_a_value_in_the_template_is_refused(
    run: Run, program: Callable[..., str], word: str
) -> None:
    build(run, "main: !call:print [ {{ x | default('a') }} ]\ndynamic_args: { x: {} }\n")
    with pytest.raises(SystemExit, match="2"):
        program("out", "--x", word)


@pytest.mark.parametrize("word", ["a: b", "a #b", "b:", "b ", "a\nb"])
def test_a_word_that_would_end_the_text_that_it_is_a_part_of_is_refused(
    run: Run, program: Callable[..., str], word: str
) -> None:
    for text in ("run{{ x | default('') }}", "{{ joinpath('a', x | default('b')) }}"):
        build(run, f"main: !call:print\n  - {text}\ndynamic_args: {{ x: {{}} }}\n")
        with pytest.raises(SystemExit, match="2"):
            program("out", "--x", word)
        assert program("out", "--x", "a:b it's#1") in ("runa:b it's#1\n", "a/a:b it's#1\n")


def test_a_word_that_is_only_compared_may_be_any(run: Run, program: Callable[..., str]) -> None:
    text = "main: !call:print [ {{ 1 if x | default('a') == 'a: b' else 2 }}, {{ x | default('a') != 'c' }} ]\n"
    build(run, text + "dynamic_args: { x: {} }\n")
    assert program("out", "--x", "a: b") == "1 True\n"


def test_in_quotes_a_word_is_a_text_whatever_it_is(run: Run, program: Callable[..., str]) -> None:
    text = """main: !call:print
  - '{{ x | default("a") }}'
  - "{{ y | default(joinpath(project_dir, 'a')) }}"
dynamic_args: { x: {}, y: {} }
"""
    build(run, text)
    for word in ("a: b", "10"):
        build(run, text, "--x", word, "--y", word, folder="again")
        assert program("out", "--x", word, "--y", word) == program("again") == f"{word} {word}\n"


def test_an_option_that_a_condition_asks_for_keeps_its_default_of_the_run(
    run: Run, program: Callable[..., str]
) -> None:
    """The default is never empty, so only the option has to be known, and nothing is pinned."""
    text = "-- set x = x | default(project_dir)\n-- if x\nmain: !call:print [ '{{ x }}' ]\n-- endif\n"
    result = (
        run("build", "c.yaml", "-o", "out") if Path("c.yaml").write_text(text + "dynamic_args: { x: {} }\n") else None
    )
    assert result is not None and "--x, because a condition depends on it (c.yaml:2:7)" in result.out
    assert "FGC216" not in result.err and program("out") == f"{Path.cwd()}\n"


def test_a_word_in_quotes_and_without_them_is_no_option(run: Run) -> None:
    said = build(
        run, "main: !call:print [ {{ x | default('a') }}, '{{ x | default('a') }}-' ]\ndynamic_args: { x: {} }\n"
    )
    assert "--x, because YAML may read a text as something else: write `{{ x | toyaml }}` (c.yaml:1:" in said


def test_an_empty_default_stays_open_in_texts(run: Run, program: Callable[..., str]) -> None:
    text = "main: !call:print\n  - \"{{ x | default('') }}\"\n  - run{{ x | default('') }}\n"
    text += "  - {{ x | default('') | toyaml }}\ndynamic_args: { x: {} }\n"
    build(run, text)
    assert program("out") == " run \n"
    assert program("out", "--x", "no") == "no runno no\n"


def test_a_secret_without_a_default_is_no_option(run: Run) -> None:
    told = build(run, "main: !call:print [ \"{{ hf_token | default('') }}\" ]\ndynamic_args: { hf_token: {} }\n")
    assert "--hf-token, because it is a secret, and none by default" in told
    assert "--hf-token" not in Path("out/train.py").read_text(encoding="utf-8")


def test_a_tag_for_numbers_leaves_numbers_open(run: Run, program: Callable[..., str]) -> None:
    text = "dynamic_args: { lr: { type: float }, n: { type: int } }\nmain: !call:print\n"
    text += "  - !!float {{ lr | default(1.0e-4) }}\n  - !!int {{ n | default(7) }}\n"
    text += "  - !!float {{ [n | default(7), 7.5] | max }}\n"
    build(run, text)
    assert program("out", "--lr", "3", "--n", "-9") == "3.0 -9 7.5\n"
    assert program("out", "--n", "9") == "0.0001 9 9.0\n"


OF_LINES = """\
main: !call:print
  - |
    a {{ x | default('a') }}
    b {{ x | default('a') }}
  - >
    a
    {{ x | default('a') }} a
  - 'a
    {{ x | default('a') }}
    a'
  - "\\u0061 {{ x | default('a') }} \\t"
  - a
    {{ x | default('a') }}
dynamic_args: { x: {} }
"""


def test_a_default_that_its_text_holds_too_is_replaced_where_it_is_printed(
    run: Run, program: Callable[..., str]
) -> None:
    assert "fixed by the build" not in build(run, OF_LINES)
    build(run, OF_LINES, "--x", "word", folder="again")
    assert (
        program("out", "--x", "word") == program("again") == "a word\nb word\n a word a\n a word a a word \t a word\n"
    )


_FORMS = {
    "run/{{ x | default('a') }}": ["a, b", "[x]", "it's", "#x", "- a", 'a "b"'],
    "'p {{ x | default('a') }}'": ["a: b", "a #b", " c ", '"'],
    "\"{{ x | default('a') }}\"": ["it's", "a #b", " c "],
    "|\n    {{ x | default('a') }}": ["it's", "# c", "- a", "a "],
    ">\n    a\n    b {{ x | default('a') }}\n    c": ["a: b", " c"],
    "{{ x | default('a') }}": [" c ", "a, b", "x]", "10"],
    "[ {{ x | default('a') }} ]": ["a b", "~"],
}
_OTHERWISE = {
    "'p {{ x | default('a') }}'": ["it's", "'", "''", "a\nb"],
    "\"{{ x | default('a') }}\"": ["a\\nb", '"', "\\"],
    "|\n    {{ x | default('a') }}": [" c", "a\nb", "", "\r"],
    ">\n    a\n    {{ x | default('a') }}\n    c": [" c", "", "a\u2028b"],
    "[ run/{{ x | default('a') }} ]": ["a, b", "a]", "a: b"],
}


@pytest.mark.parametrize("text", _FORMS)
def test_a_word_that_yaml_reads_as_itself_there_is_taken(run: Run, program: Callable[..., str], text: str) -> None:
    config = f"main: !call:print\n  - {text}\ndynamic_args: {{ x: {{}} }}\n"
    build(run, config)
    for number, word in enumerate(_FORMS[text]):
        build(run, config, f"--x={word}", folder=f"built_{number}")
        assert program("out", f"--x={word}") == program(f"built_{number}"), word


@pytest.mark.parametrize("text", _OTHERWISE)
def test_a_word_that_yaml_reads_as_something_else_there_is_refused(
    run: Run, program: Callable[..., str], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    build(run, f"main: !call:print\n  - {text}\ndynamic_args: {{ x: {{}} }}\n")
    for word in _OTHERWISE[text]:
        with pytest.raises(SystemExit, match="2"):
            program("out", f"--x={word}")
        assert "argument --x: YAML does not read" in capsys.readouterr().err, word


def test_a_path_is_looked_at_too(run: Run, program: Callable[..., str]) -> None:
    build(run, "main: !call:print [ 'in {{ x | default(\"/a\") }}' ]\ndynamic_args: { x: { type: path } }\n")
    assert program("out", "--x", "/a/../b c") == "in /b c\n"
    with pytest.raises(SystemExit, match="2"):
        program("out", "--x", "/it's")


def test_a_choice_that_yaml_would_read_as_something_else_closes_the_option(run: Run) -> None:
    said = build(
        run, "main: !call:print [ 'run {{ x | default(\"a\") }}' ]\ndynamic_args: { x: { choices: [a, it's] } }\n"
    )
    assert "because YAML reads \"it's\" as something else in `'run {}'`: write `{{ x | toyaml }}`" in said


def test_a_block_of_nothing_but_an_empty_default_is_fixed(run: Run) -> None:
    """With another word it would have an end of line, which the program would not know of."""
    said = build(run, "main: !call:print\n  - |\n    {{ x | default('') }}\n  - 1\ndynamic_args: { x: {} }\n")
    assert "fixed by the build:  --x" in said
