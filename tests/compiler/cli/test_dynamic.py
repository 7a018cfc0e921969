"""Options that a configuration declares in `dynamic_args`."""

import json
from pathlib import Path

import pytest

from .conftest import Run

CONFIG = """\
dynamic_args:
    max_steps: { names: [--max-steps, -s], type: int, help: How many steps }
    fast: { names: --fast, action: store_true }
    mode: { choices: [a, b] }
    data: { type: path }
    deep: { type: bool }
    many: !dict { type: float, nargs: '+' }
main: {{ [max_steps | default(7), fast | default(0), mode | default('?'), deep | default('?')] | toyaml }}
data: {{ data | default(0) }}
many: {{ many | default(0) }}
"""


@pytest.fixture(autouse=True)
def _config(run: Run) -> None:
    Path("c.yaml").write_text(CONFIG)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "main: [7, 0, '?', '?']"),
        (("--max-steps", "-3"), "main: [-3, 0, '?', '?']"),
        (("-s", "3", "--fast", "--mode=b", "--deep", "no"), "main: [3, true, b, false]"),
        (("-D", "max_steps=5"), "main: [5, 0, '?', '?']"),
        (("--many", "1", "2.5"), "many: [1.0, 2.5]"),
    ],
)
def test_what_is_given_sets_a_variable_and_nothing_else_does(run: Run, words: tuple[str, ...], expected: str) -> None:
    result = run("pp", "c.yaml", *words)
    assert result.code == 0, result.err
    assert expected in result.out.splitlines()


def test_an_option_that_the_command_has_too_is_told(run: Run) -> None:
    Path("c.yaml").write_text(
        "dynamic_args:\n    output: { type: str }\nmain: !call:print [ {{ output | default(0) }} ]\n"
    )
    result = run("build", "c.yaml", "--output", "out")
    assert (result.code, Path("out/train.py").is_file()) == (0, True)
    assert "the configuration's `--output` is not set; `-D output=VALUE` sets that one" in result.err
    assert "is an option of this command" not in run("build", "c.yaml", "-o", "out", "-D", "output=3").err


def test_a_hidden_option_is_told_once_each_time_also_by_kept_answers_and_errors(run: Run) -> None:
    Path("c.yaml").write_text("""\
dynamic_args:
    vars: { type: str }
    fast: { type: int }
main: !call:print [ {{ vars | default(0) }}, {{ fast | default(0) }} ]
""")
    Path("v.json").write_text("{}")
    for command in ("pp", "check", "build"):
        for words in (["--fast", "1"], ["--fast", "1"], ["--fast", "x"]):
            result = run(command, "c.yaml", "--vars", "v.json", *words, *(["-o", "out"] * (command == "build")))
            assert result.err.count("the configuration's `--vars` is not set") == 1, (command, words, result.err)


def test_a_path_is_that_of_the_folder_in_which_it_was_typed(run: Run) -> None:
    assert f"data: {Path.cwd() / 'x'}" in run("pp", "c.yaml", "--data", "x").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--max-stpes", "3"), "`c.yaml` has no option `--max-stpes`; did you mean `--max-steps`?"),
        (("--max-steps", "x"), "argument --max-steps/-s: invalid int value: 'x'"),
        (("--mode", "c"), "argument --mode: invalid choice: 'c' (choose from 'a', 'b')"),
        (("--deep", "maybe"), "argument --deep: invalid true or false value: 'maybe'"),
        (("--no-cach",), "`c.yaml` has no option `--no-cach`; did you mean `--no-cache`?"),
        (("--fast", "more"), "`more` is not the value of an option; name the configuration before its options"),
    ],
)
def test_a_wrong_option_is_refused_with_what_would_be_right(run: Run, words: tuple[str, ...], message: str) -> None:
    for command in ("pp", "check"):
        result = run(command, "c.yaml", *words)
        assert result.code == 2 and message in result.err, command


def test_every_command_that_takes_them_refuses_a_wrong_one(run: Run) -> None:
    for command in ("pp", "check", "build", "train"):
        assert "did you mean `--fast`" in run(command, "c.yaml", "--fats").err


def test_a_configuration_without_options_has_none(run: Run) -> None:
    Path("d.yaml").write_text("main: 1\n")
    assert "`d.yaml` has no option `--fast`; its options are: none" in run("pp", "d.yaml", "--fast").err


def test_a_build_and_a_check_take_them(run: Run) -> None:
    assert run("build", "c.yaml", "--max-steps", "12", "-o", "out").code == 0
    assert json.loads(Path("out/manifest.json").read_text())["arguments"] == {"max_steps": 12}
    Path("d.yaml").write_text("dynamic_args: { n: { type: int } }\nmain: {{ nope if n else n }}\n")
    assert run("check", "d.yaml", "--n", "0").code == 0
    assert "FGC203" in run("check", "d.yaml", "--n", "1").err
    assert "name one" in run("check", ".", "--n", "1").err


@pytest.mark.parametrize(
    ("entry", "column", "message"),
    [
        ("x: { nmaes: --x }", 10, "has no `nmaes`"),
        ("x: { type: integer }", 16, "`type` of `x` must be one of str, int, float, bool, path, not 'integer'"),
        ("x: { names: max }", 17, "must be an option such as `--max-steps`"),
        ("x: { choices: 3 }", 19, "must be a list of texts or numbers"),
        ("x: --x", 5, "entry `x` of `dynamic_args` is a mapping"),
        ("on: {}", 5, "`True` cannot be the name of a template variable"),
        ("a-b: {}", 5, "cannot be the name of a template variable"),
        ("x: { choices: { a: 1 } }", 19, "must be a list of texts or numbers, not a mapping"),
        ("x: { choices: [ { a: 1 } ] }", 19, "not a list with a mapping in it"),
    ],
)
def test_a_wrong_entry_is_a_finding_at_its_line(run: Run, entry: str, column: int, message: str) -> None:
    Path("d.yaml").write_text(f"dynamic_args:\n    {entry}\nmain: 1\n")
    (finding,) = json.loads(run("check", "d.yaml", "--select", "FGC405", "--format", "json").out)["findings"]
    assert (finding["line"], finding["column"]) == (2, column) and message in finding["message"]


LISTS = {
    "list": "    - names: --max-steps\n      type: int\n    - { names: [-q, --quiet], action: store_true }\n",
    "!dlist": " !dlist\n    s: { names: --max-steps, type: int }\n"
    "    q: { names: [-q, --quiet], action: store_true }\n",
    "!list": " !list\n    - { names: [--max-steps], type: int }\n    - { names: [-q, --quiet], action: store_true }\n",
}


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize(
    ("words", "expected"), [((), "[7, 0]"), (("--max-steps", "5"), "[5, 0]"), (("-q",), "[7, true]")]
)
def test_in_a_list_the_first_long_option_names_the_variable(
    run: Run, form: str, words: tuple[str, ...], expected: str
) -> None:
    entries = LISTS[form] if LISTS[form].startswith(" !") else f"\n{LISTS[form]}"
    Path("d.yaml").write_text(
        f"dynamic_args:{entries}main: {{{{ [max_steps | default(7), quiet | default(0)] | toyaml }}}}\n"
    )
    result = run("pp", "d.yaml", *words)
    assert result.code == 0 and f"main: {expected}" in result.out, result.err


def test_a_child_overrides_an_entry_and_drops_one_with_null(run: Run) -> None:
    Path("base.yaml").write_text(
        "-- block dynamic_args\ndynamic_args: !dlist\n    lr: { names: --lr, type: float }\n"
        "    wd: { names: --wd, type: float }\n-- endblock\nmain: {{ [lr | default(0), wd | default(0)] | toyaml }}\n"
    )
    child = "-- extends 'base.yaml'\n[dynamic_args]\n    == super()\n    lr: null\n    wd: { names: --wd, type: int }\n"
    Path("d.yaml").write_text(child)
    assert "[0, 3]" in run("pp", "d.yaml", "--wd", "3").out
    assert "has no option `--lr`" in run("pp", "d.yaml", "--lr", "1").err
    assert "invalid int value" in run("pp", "d.yaml", "--wd", "0.5").err


@pytest.mark.parametrize("empty", [" []", " !dlist", " !dlist { a: null }", " !list []", ""])
def test_an_empty_list_declares_no_options(run: Run, empty: str) -> None:
    Path("d.yaml").write_text(f"dynamic_args:{empty}\nmain: 1\n")
    assert run("check", "d.yaml").out == run("check", "c.yaml").out
    assert "its options are: none" in run("pp", "d.yaml", "--x", "1").err


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("- { type: int }", "an entry of `dynamic_args` lacks `names`"),
        ("- { nmaes: --x }", "has no `nmaes`"),
        ("- --x", "an entry of `dynamic_args` is a mapping"),
        ("- { names: x }", "must be an option such as `--max-steps`"),
        ("- { names: --x, type: integer }", "`type` of `--x` must be one of"),
        ("- { names: --2x }", "`2x` cannot be the name of a template variable"),
        ("- { names: --x, choices: [1, 2] }", "no value of type `str` is the choice 1"),
        ("- { names: --x, type: int, choices: [no] }", "no value of type `int` is the choice false"),
        ("- { names: --x, action: append_const }", "gives `none` without a `const`"),
    ],
)
def test_a_wrong_entry_of_a_list_is_one_finding_at_its_line(run: Run, entry: str, message: str) -> None:
    Path("d.yaml").write_text(f"main: 1\ndynamic_args:\n    - {{ names: --ok }}\n    {entry}\n")
    findings = json.loads(run("check", "d.yaml", "--select", "FGC405", "--format", "json").out)["findings"]
    assert {finding["line"] for finding in findings} == {4} and message in findings[0]["message"]


@pytest.mark.parametrize(
    ("default", "use", "message"),
    [
        ("7", "{{ x | default(7) }}", None),
        ("fast", "{{ x | default('fast') }}", None),
        ("32", "{{ x | default(16) }}", "`default` of `--x` has no effect: templates take 16"),
        ("32", "{{ 1 if x is defined else 2 }}", "`default` of `--x` has no effect: an option that is not given"),
        ("32", "{{ x }}", None),  # it is told that `x` is undefined
        ("32", "1", None),  # it is told that no template reads `x`
    ],
)
def test_a_default_is_a_finding_where_templates_take_another(
    run: Run, default: str, use: str, message: str | None
) -> None:
    entry = f"    - {{ names: --x, type: int, default: {default} }}\n"
    Path("d.yaml").write_text(f"dynamic_args:\n{entry}main: {use}\n")
    found = json.loads(run("check", "d.yaml", "--format", "json").out)["findings"]
    told = [finding["message"] for finding in found if finding["code"] == "FGC405"]
    assert len(told) == (message is not None) and all(str(message) in text for text in told)
    assert len([finding for finding in found if finding["code"] != "FGC216"]) == (default == "32"), "one mistake"


def test_an_option_with_a_stray_quote_is_one_finding_that_says_what_to_write(run: Run) -> None:
    Path("d.yaml").write_text('dynamic_args:\n    - names: --x-y"\n      default: 3\nmain: 1\n')
    (finding,) = json.loads(run("check", "d.yaml", "--format", "json").out)["findings"]
    assert (finding["code"], finding["help"]) == ("FGC405", "write `--x-y`")


@pytest.mark.parametrize("broken", ["-- include 'missing.yaml'", "-- set a = foo(", "{{ 1 + }}"])
def test_beside_what_could_not_be_read_no_option_is_unread(run: Run, broken: str) -> None:
    Path("d.yaml").write_text(f"{broken}\ndynamic_args:\n    - {{ names: --steps }}\nmain: 1\n")
    (finding,) = json.loads(run("check", "d.yaml", "--format", "json").out)["findings"]
    assert finding["code"] in ("FGC101", "FGC201")


def test_two_options_of_one_variable_are_a_finding(run: Run) -> None:
    Path("d.yaml").write_text("dynamic_args:\n    - { names: --a-b }\n    - { names: --a_b }\nmain: 1\n")
    assert "two options set the variable `a_b`" in run("check", "d.yaml").err


def test_actions_of_argparse_with_a_const(run: Run) -> None:
    Path("d.yaml").write_text(
        "dynamic_args:\n    - { names: [-v, --verbose], action: count }\n"
        "    - { names: --fast, action: store_const, const: 9 }\n"
        "    - { names: --level, nargs: '?', const: 4, type: int }\n"
        "main: {{ [verbose | default(0), fast | default(0), level | default(0)] | toyaml }}\n"
    )
    assert "main: [2, 9, 4]" in run("pp", "d.yaml", "-vv", "--fast", "--level").out


def test_help_shows_the_options_of_the_configuration_that_is_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("d.yaml").write_text("dynamic_args:\n    - { names: [--max-steps, -s], type: int, help: 100% }\nmain: 1\n")
    for command in ("build", "train", "check", "pp"):
        with pytest.raises(SystemExit):
            run(command, "d.yaml", "--help")
        shown = capsys.readouterr().out
        assert "options of d.yaml:" in shown and "--max-steps MAX_STEPS, -s MAX_STEPS" in shown and "100%" in shown
    with pytest.raises(SystemExit):
        run("build", "--help")
    assert "options of" not in capsys.readouterr().out


def test_a_required_option_is_asked_for_unless_its_variable_is_given(run: Run) -> None:
    Path("d.yaml").write_text("dynamic_args:\n    - { names: --mode, required: true }\nmain: {{ mode | default(1) }}\n")
    assert "the following arguments are required: --mode" in run("pp", "d.yaml").err
    assert "main: a" in run("pp", "d.yaml", "--mode", "a").out
    assert "main: b" in run("pp", "d.yaml", "-D", "mode=b").out
    assert run("check", "d.yaml").code == 0


def test_an_option_declared_twice_is_a_finding(run: Run) -> None:
    Path("d.yaml").write_text("dynamic_args:\n    x: { names: --a }\n    y: { names: [-b, --a] }\nmain: 1\n")
    assert "option `--a` is declared twice" in run("check", "d.yaml").err


def test_an_option_that_no_template_reads_is_a_finding_with_a_suggestion(run: Run) -> None:
    Path("d.yaml").write_text(
        "dynamic_args:\n    max_step: { type: int }\nmain: !call:print [ {{ max_steps | default(10) }} ]\n"
    )
    (finding,) = json.loads(run("check", "d.yaml", "--format", "json").out)["findings"]
    assert (finding["code"], finding["line"], finding["help"]) == ("FGC417", 2, "did you mean `max_steps`?")


def test_an_option_that_another_template_of_the_search_path_reads_is_no_finding(run: Run) -> None:
    Path("d.yaml").write_text("dynamic_args:\n    max_step: { type: int }\nmain: !call:print [ 1 ]\n")
    Path("other.yaml").write_text("a: {{ max_step | default(1) }}\n")
    assert run("check", "d.yaml").code == 0


def test_a_choice_that_no_int_can_be_is_a_finding_also_if_it_is_infinite(run: Run) -> None:
    Path("c.yaml").write_text("dynamic_args:\n    n: { type: int, choices: [.inf, .nan, 1.5, 2.0] }\nmain: {{ n }}\n")
    found = run("check", "c.yaml").err
    assert found.count("it can never be chosen") == 3, found
