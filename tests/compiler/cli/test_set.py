"""`--set PATH=VALUE`: any value of the resolved configuration, when it is built and when it runs."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from fgc.cli.select import select
from fgc.explain.paths import find
from fgc.questions import Questions

from .conftest import Run

CONFIG = """\
optimizer: &optimizer !call:dict
    lr: 0.1
    steps: 3
    name: adam
    flag: true
    none: null
    betas: !tuple [ 0.9, 0.95 ]
    odd-key: 1
    typed: { float: !!float 3, text: !!str 3, untagged: ! 3, floor: !call:math:floor 2.5 }
main: !call:print [ *optimizer, { deep: [ 1, { x: y } ] }, *optimizer ]
"""
GIVEN = [
    ["optimizer.lr=5e-1"],
    ["&optimizer.lr=5e-1"],
    ["main[0].lr=inf", "optimizer.steps=-7"],
    ["main.arg0.lr=1"],
    ['optimizer.name=it\'s "q"', "main[1].deep[1].x=1"],
    ["optimizer.flag=no", "optimizer.none=2", "main.arg1.deep[0]=0"],
    ["optimizer.none=text", "optimizer.betas[1]=0.5"],
    ["optimizer.odd-key=2"],
    ["optimizer.lr=null", "optimizer.steps=None", "optimizer.flag=~", "optimizer.name=null"],
    ["optimizer.name=a=b"],
    ["optimizer.typed.float=7", "optimizer.typed.text=7", "optimizer.typed.untagged=7", "optimizer.typed.floor.arg0=7"],
    ["optimizer.typed.float=null", "optimizer.typed.text=null"],
    ["optimizer.name=--lr"],
    ["optimizer.lr=0.25", "main[0].lr=0.5"],
    *([f"optimizer.steps={text}"] for text in ("1e1", "20.0", "1e30", "1_000", "2.5")),
    *([f"optimizer.none={text}"] for text in ("", "tRue", "nulls")),
]
WRONG = {
    "optimizer.lrr=1": "did you mean `optimizer.lr`?",
    "optimizer.lr=x": "`optimizer.lr` is a number, such as 0.1; `x` is not",
    "optimizer.steps=many": "is an integer, such as 3; `many` is not",
    "optimizer.steps=inf": "is an integer, such as 3; `inf` is not",
    "optimizer.steps=nan": "is an integer, such as 3; `nan` is not",
    "optimizer.steps=1e-999": "is an integer, such as 3; `1e-999` is not",
    "optimizer.steps=1e999": "is an integer, such as 3; `1e999` is not",
    "optimizer.flag=maybe": "is true or false",
    "optimizer": "write `--set path=value`",
}


def words(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def started(folder: str, settings: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"{folder}/train.py", *words(settings)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_running_with_a_value_is_building_with_it(run: Run) -> None:
    Path("c.yaml").write_text(CONFIG)
    assert run("build", "c.yaml", "-o", "out").code == 0
    plain = started("out", []).stdout
    for number, settings in enumerate(GIVEN):
        built = run("build", "c.yaml", "-o", f"built_{number}", *words(settings))
        assert built.code == 0, built.err
        expected = started(f"built_{number}", []).stdout
        assert expected != plain
        if not settings[0].startswith("&"):
            done = started("out", settings)
            assert done.stdout == expected, (settings, done.stderr)


@pytest.mark.parametrize(("setting", "message"), WRONG.items())
def test_a_wrong_path_or_value_is_told_before_anything_happens(run: Run, setting: str, message: str) -> None:
    Path("c.yaml").write_text(CONFIG)
    result = run("build", "c.yaml", "-o", "out", "--set", setting)
    assert result.code == 2 and message in result.err
    assert not Path("out").exists()


@pytest.mark.parametrize("setting", ["optimizer.lrr=1", "optimizer.lr=x", "optimizer", "optimizer.steps=inf"])
def test_a_program_tells_a_wrong_path_or_value_too(run: Run, setting: str) -> None:
    Path("c.yaml").write_text(CONFIG)
    run("build", "c.yaml", "-o", "out")
    done = started("out", [setting])
    assert (done.returncode, done.stdout) == (2, "") and WRONG[setting] in done.stderr


def test_what_is_set_is_checked_and_recorded(run: Run) -> None:
    Path("f.py").write_text("def f(steps: int, kind: str = 'a'): print(steps, kind)\n")
    Path("c.yaml").write_text("main: !call:f.py:f { steps: null }\n")
    result = run("build", "c.yaml", "-o", "out", "--set", "main.steps=often")
    assert "FGC508" in result.err
    assert json.loads(Path("out/manifest.json").read_text())["arguments"] == {"--set main.steps": "often"}
    assert '# --set main.steps="often"' in Path("out/config.yaml").read_text()


def test_a_value_that_went_into_another_file_is_set_by_a_build_only(run: Run) -> None:
    Path("c.yaml").write_text("folder: &folder [ . ]\nmain: !call:print [ 1 ]\n")
    run("build", "c.yaml", "-o", "out")
    done = started("out", ["folder[0]=x"])
    assert done.returncode == 2 and "the program has no value `folder[0]`" in done.stderr


def test_a_value_that_an_option_decides_can_be_set_too(run: Run) -> None:
    Path("c.yaml").write_text(
        "dynamic_args: { x: { type: int } }\n"
        "main: !call:print [ {{ x | default(1) }}, {{ x | default(1) * 2 }}, 'w{{ x | default(1) }}' ]\n"
    )
    assert run("build", "c.yaml", "-o", "out").code == 0
    done = subprocess.run(
        [sys.executable, "out/train.py", "--x", "5", *words(["main[0]=7", "main[2]=z"])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "7 10 z\n", done.stderr


def test_a_value_that_a_program_writes_in_another_way_can_be_set(run: Run) -> None:
    long, lines = "words that go on and on " * 8, "".join(f"line {number}\n" for number in range(12))
    values = f"[ .inf, -.inf, .nan, {json.dumps(long)}, {json.dumps(lines)}, 'x' ]"
    Path("c.yaml").write_text(f"main: !call:print\n  - {values}\n  - {json.dumps(lines)}\n")
    assert run("build", "c.yaml", "-o", "out").code == 0
    settings = [*(f"main[0][{number}]={number}" for number in range(3)), "main[0][3]=a", "main[0][4]=b", "main[1]=c"]
    done = started("out", settings)
    assert done.stdout == "[0.0, 1.0, 2.0, 'a', 'b', 'x'] c\n", done.stderr


def test_a_shortened_set_is_refused_and_not_ignored(run: Run) -> None:
    Path("c.yaml").write_text("dynamic_args: { x: { type: int } }\nmain: !call:print [ {{ x | default(3) }}, 4 ]\n")
    assert run("build", "c.yaml", "-o", "out").code == 0
    command = [sys.executable, "out/train.py", "--se", "main[1]=5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unrecognized arguments: --se" in done.stderr


@pytest.mark.parametrize("main", ["!call:print [ 4 ]", "!call:print []", "!call:print [ !call:dict ]"])
def test_a_word_that_a_program_does_not_know_is_an_error(run: Run, main: str) -> None:
    """Also where nothing can be set, and behind a setting that is right."""
    Path("c.yaml").write_text(f"main: {main}\n")
    assert run("build", "c.yaml", "-o", "out").code == 0
    for typed in (["--max-stepz", "3"], ["word"], ["-x"], ["--sett", "main[0]=5"]):
        done = subprocess.run([sys.executable, "out/train.py", *typed], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "") and f"unrecognized arguments: {typed[0]}" in done.stderr


def test_a_setting_does_not_hide_an_unknown_word(run: Run) -> None:
    Path("c.yaml").write_text("main: !call:print [ 4 ]\n")
    assert run("build", "c.yaml", "-o", "out").code == 0
    done = subprocess.run(
        [sys.executable, "out/train.py", *words(["main[0]=5"]), "--stepz=3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "") and "unrecognized arguments: --stepz=3" in done.stderr


def test_a_program_without_options_has_help(run: Run) -> None:
    Path("c.yaml").write_text("main: !call:print [ 4 ]\n")
    assert run("build", "c.yaml", "-o", "out").code == 0
    done = subprocess.run([sys.executable, "out/train.py", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--set PATH=VALUE" in done.stdout and "Generated by fgc" in done.stdout


def test_a_value_is_set_in_the_configuration_and_not_in_the_description_of_a_project(run: Run) -> None:
    for folder in ("forgather_workspace", "mine/templates/configs", "other/templates/configs"):
        Path(folder).mkdir(parents=True)
    Path("other/meta.yaml").write_text("name: Other\ndefault_config: c.yaml\n")
    Path("other/templates/configs/c.yaml").write_text("main: 3\n")
    Path("mine/meta.yaml").write_text("name: Mine\ndefault_config: c.yaml\n")
    text = "steps: 2\nmain: !call:print [ 1, !meta:fgc:from_project { project_dir: ../other, targets: main } ]\n"
    Path("mine/templates/configs/c.yaml").write_text(text)
    built = run("-p", "mine", "build", "-o", "out", "--set", "main[0]=7")
    assert built.code == 0, built.err
    assert started("out", []).stdout == "7 3\n"


def test_two_selections_of_one_run_have_each_their_own_values(run: Run, project: Path) -> None:
    """Facts about a project are shared by all builds of a run; values that are set are not."""
    (project / "templates/configs/a.yaml").write_text("main: !call:print [ 1 ]\n")
    questions = Questions()
    fixed = Namespace(file=None, project="p", config="a.yaml", include=[], define=[], vars=None)
    for text in ("2", "3", None):
        settings = [] if text is None else [f"main[0]={text}"]
        selected = select(Namespace(**vars(fixed), settings=settings), questions)
        value = find(selected.compilation.composition, "main[0]").node.value
        assert value == (text or "1") and selected.store.settings == ({"main[0]": text} if text else {})


def test_an_integer_becomes_a_number_where_its_parameter_takes_one(run: Run) -> None:
    Path("own.py").write_text(
        "def show(decay: float, layers: int, other, *, rates: list[float]) -> None:\n"
        "    print(decay, layers, other, rates)\n"
    )
    text = "main: !call:own.py:show { decay: 0, layers: 4, other: 1, rates: [0, 1] }\n"
    Path("c.yaml").write_text(text)
    assert run("build", "c.yaml", "-o", "out").code == 0
    fits = ["main.decay=0.1", "main.other=1e-3", "main.rates[1]=.5"]
    assert started("out", fits).stdout == "0.1 4 0.001 [0, 0.5]\n"
    words = [word for setting in fits for word in ("--set", setting)]
    assert run("build", "c.yaml", "-o", "again", *words).code == 0
    assert started("again", []).stdout == "0.1 4 0.001 [0, 0.5]\n"
    refused = "`--set main.layers=4.5`: `main.layers` is an integer, such as "
    assert refused in started("out", ["main.layers=4.5"]).stderr
    assert refused in run("build", "c.yaml", "-o", "third", "--set", "main.layers=4.5").err


def test_a_fraction_is_refused_where_python_would_refuse_it(run: Run) -> None:
    values = "!call:list [ !call:range [ 2 ] ], !call:getitem [ [ 1, 2 ], 1 ], !call:round [ 1.25, 1 ]"
    Path("c.yaml").write_text(f"main: !call:print [ {values} ]\n")
    assert run("build", "c.yaml", "-o", "out").code == 0
    assert started("out", ["main[0][0][0]=3e0"]).stdout == "[0, 1, 2] 2 1.2\n"
    for path in ("main[0][0][0]", "main[1][1]", "main[2][1]"):
        assert "is an integer, such as" in started("out", [f"{path}=2.5"]).stderr
        assert run("build", "c.yaml", "-o", "again", "--set", f"{path}=2.5").code != 0


def test_a_number_whose_attribute_is_taken_can_be_set(run: Run) -> None:
    """`5.real` is no Python, `(5).real` is."""
    Path("c.yaml").write_text(
        "dynamic_args: { x: { type: int } }\nmain: !call:print [ !call:getattr [ {{ x | default(1) }}, real ] ]\n"
    )
    assert run("build", "c.yaml", "-o", "out").code == 0
    assert started("out", ["main[0][0]=7"]).stdout == "7\n"


OF_RUN = """\
out: &out {{ joinpath(project_dir, 'out') }}
main: !call:print [ *out, "{{ hostname }}-{{ x | default('a') }}", !call:dict { run: "run_{{ filetime() }}" }, *out ]
dynamic_args: { x: {} }
"""


def test_a_text_that_the_run_computes_can_be_set(run: Run) -> None:
    Path("c.yaml").write_text(OF_RUN)
    assert run("build", "c.yaml", "-o", "out").code == 0
    settings = ["out=/q it's", "main[1]=h", "main[2].run=a: b"]
    assert run("build", "c.yaml", "-o", "built", *words(settings)).code == 0
    assert started("out", settings).stdout == started("built", []).stdout == "/q it's h {'run': 'a: b'} /q it's\n"
