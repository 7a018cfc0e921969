"""`--set PATH=VALUE`: any value of the resolved configuration, when it is built and when it runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    ["optimizer.lr=0.25", "main[0].lr=0.5"],
]
WRONG = {
    "optimizer.lrr=1": "did you mean `optimizer.lr`?",
    "optimizer.lr=x": "`optimizer.lr` is a number, such as 0.1; `x` is not",
    "optimizer.steps=0.5": "is an integer, such as 3; `0.5` is not",
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


@pytest.mark.parametrize("setting", ["optimizer.lrr=1", "optimizer.lr=x", "optimizer"])
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
    assert done.returncode == 2 and "write `--set` in full" in done.stderr
