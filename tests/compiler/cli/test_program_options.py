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
dynamic_args:
    name: {}
    size: { type: int }
    lr: { type: float }
    kind: { choices: [fast, slow] }
"""
COMPUTED_GIVEN = [
    ["--name", "b c"],
    ["--size", "7"],
    ["--size", "-1", "--lr", "3"],
    ["--kind", "slow", "--size", "3"],
    ["--lr", "1e-05", "--name", "true"],
]


def test_options_in_texts_and_arithmetic_and_choices_stay_open(run: Run, program: Callable[..., str]) -> None:
    said = build(run, COMPUTED)
    assert "its options:  --name, --size, --lr, --kind\n" in said and "fixed by the build" not in said
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


@pytest.mark.parametrize("words", [["--max-steps", "x"], ["--size", "huge"], ["--flag", "maybe"], ["--max-stpes", "1"]])
def test_a_wrong_option_is_refused_before_anything_is_constructed(
    run: Run, program: Callable[..., str], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    build(run, CONFIG)
    with pytest.raises(SystemExit, match="2"):
        program("out", *words)
    assert capsys.readouterr().out == ""


CLOSED = {
    "main: !call:print [ 1 ]\n-- if x | default(1) > 2\nother: 1\n-- endif\n": "a condition depends on it (c.yaml:2:7)",
    "main: !call:print [ {{ 2 if x is defined else 1 }} ]\n": "it is asked whether it is given (c.yaml:1:29)",
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
    "main: !call:print [ {{ (x | default(1)) | int }} ]\n": "the filter `int` changes it (c.yaml:1:24)",
    "main: !call:dict { {{ x | default('a') }}: 1 }\n": "it is a key (c.yaml:1:23)",
    "main: !call:{{ x | default('print') }} [ 1 ]\n": "it stands outside of a value (c.yaml:1:16)",
    "main: !call:print [ {{ x | default(1) }}, {{ x | default(2) }} ]\n": "it has two defaults: 1 and 2 (c.yaml:1:46)",
    "main: !call:print [ {{ x | default('a') }} ]\n": "its default 'a' is no int (c.yaml:1:24)",
    "main: !call:print [ !var { name: v, default: {{ x | default(1) }} } ]\n": "it belongs to a `!var` (c.yaml:1:49)",
    "main: !call:print [ 1 ]\nother: {{ x | default(1) }}\n": "nothing that the program constructs has it as a value",
    "a: &a {{ x | default(1) }}\nmain: !call:print [ *a ]\nmeta: { config_class: *a }\n": (
        "it is the program's `config_class` (c.yaml:1:10)"
    ),
    "main: !call:print [ {{ [x | default(1)] }} ]\n": "it is put into a list or mapping (c.yaml:1:25)",
    "-- for i in range(x | default(1))\n-- endfor\nmain: !call:print [ 1 ]\n": "`range` takes it (c.yaml:1:13)",
    "main: !call:print [ {{ y | default(x | default(1)) }} ]\n": "it is the default of `y` (c.yaml:1:24)",
}


@pytest.mark.parametrize(("text", "reason"), CLOSED.items())
def test_what_a_value_decides_is_fixed_by_the_build(run: Run, text: str, reason: str) -> None:
    said = build(run, f"{text}dynamic_args: {{ x: {{ type: int }} }}\n")
    assert f"fixed by the build:  --x, because {reason}\n" in said
    assert "its options" not in said


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("{}", "'a'", "YAML may read a text as something else: write `{{ x | toyaml }}`"),
        ("{ choices: [a, 'no'] }", "'a'", "YAML may read a text as something else: write `{{ x | toyaml }}`"),
        ("{ names: --resume, type: int }", "1", "`--resume` is an option of every program"),
        ("{ nargs: '+' }", "'a'", "it takes several values"),
        ("{ type: path }", "'a'", "its default is no absolute path, and a path that is given becomes one"),
    ],
)
def test_an_option_that_would_not_be_exact_is_fixed_by_the_build(run: Run, entry: str, value: str, reason: str) -> None:
    said = build(run, f"main: !call:print [ {{{{ x | default({value}) }}}} ]\ndynamic_args: {{ x: {entry} }}\n")
    assert f"because {reason} (c.yaml:1:24)\n" in said


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\"{{ x | default('') }}\"", "its default '' is no float"),
        ("{{ x | default('') }}", "it is empty, which YAML reads as null"),
        ('"{{ x | default(project_dir) }}"', "its default is known only where the program runs"),
        ("{{ x | default([1]) }}", "its default is a list or a mapping"),
        ("!!float {{ x | default(1) }}", "`!!float` reads it"),
    ],
)
def test_a_default_that_keeps_an_option_from_being_one_is_named(run: Run, value: str, reason: str) -> None:
    told = build(run, f"dynamic_args: {{ x: {{ type: float }} }}\nmain: !call:print\n  - {value}\n")
    assert f"--x, because {reason} (c.yaml:3:" in told


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
    build(run, text)
    assert program("out", "--lr", "3", "--n", "-9") == "3.0 -9\n"
