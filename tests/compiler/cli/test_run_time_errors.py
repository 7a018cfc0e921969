"""An error of a running program names the template line that it comes from, beside Python's own traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run
from .traced import line_of, write_project


def started(run: Run, *options: str, environment: dict[str, str] | None = None) -> list[str]:
    """The lines that a built program prints when it fails."""
    write_project()
    assert run("-p", "p", "build", "-o", "p/out", *options).code == 0
    variables = {**os.environ, **(environment or {})}
    command = [sys.executable, "out/train.py"]
    result = subprocess.run(command, cwd="p", capture_output=True, text=True, env=variables, check=False)
    assert result.returncode == 1
    return result.stderr.splitlines()


def test_an_error_of_a_constructor_names_the_line_that_asks_for_it(run: Run) -> None:
    lines = started(run, "-D", "value=0")
    place = "configured at templates/base.yaml:2:13 as `main.rate`"
    line = line_of(Path("p/parts.py"), "1 / value")
    assert lines[-3] == "ZeroDivisionError: division by zero"
    assert lines[-2:] == [place, f"written in parts.py:{line}:1"]
    assert any("out/train.py" in line for line in lines), "Python's own traceback stays"


def test_an_error_of_a_partial_that_is_called_later_names_the_partial(run: Run) -> None:
    lines = started(run, "-D", "ratio=0")
    line = line_of(Path("p/parts.py"), "size / ratio")
    assert lines[-2:] == ["configured at templates/base.yaml:6:13 as `main.make`", f"written in parts.py:{line}:1"]


def test_a_value_that_the_message_names_is_found_where_it_was_set(run: Run) -> None:
    write_project()
    parts, base = Path("p/parts.py"), Path("p/templates/base.yaml")
    check = "class Rate:\n    def __init__(self, value: float, *, size: int) -> None:\n"
    fails = '        raise ValueError(f"size ({size}) must be above value ({value})")\n'
    parts.write_text(
        parts.read_text().replace("class Rate:\n    def __init__(self, value: float) -> None:\n", check + fails)
    )
    base.write_text(base.read_text().replace("    value: {{", "    size: 1\n    value: {{"))
    config = Path("p/templates/configs/a.yaml")
    config.write_text(config.read_text().replace("[make]", "[rate]\n    == super()\n    size: 2\n\n[make]"))
    assert run("-p", "p", "build", "-o", "p/out").code == 0
    result = subprocess.run([sys.executable, "out/train.py"], cwd="p", capture_output=True, text=True, check=False)
    line = line_of(config, "size: 2")
    assert result.stderr.splitlines()[-3:-1] == [
        f"configured at templates/configs/a.yaml:{line}:11 as `main.rate.size`",
        "configured at templates/base.yaml:4:15 as `main.rate.value`",
    ]


def test_a_value_that_the_library_prints_is_found_where_its_user_set_it(run: Run) -> None:
    Path("c.yaml").write_text(
        "-- extends 'types/training_script/causal_lm/causal_lm.yaml'\n\n[config_metadata]\n    == super()\n"
        "    -- set ns.block_size = 64\n"
    )
    assert run("build", "c.yaml", "-o", "out").code == 0
    table = json.loads(Path("out/train.py.map.json").read_text())
    source, *place = table["set"]["main.trainer.train_dataset.block_size"]
    assert (table["sources"][source], place) == ("c.yaml", [5, 8])


def test_an_error_of_an_object_in_use_names_the_object(run: Run) -> None:
    lines = started(run, "-D", "text=x")
    assert lines[-2] == "configured at templates/configs/a.yaml:8:7 as `main.steps[1]`"


def test_a_program_that_was_edited_says_so(run: Run) -> None:
    started(run, "-D", "value=0")
    program = Path("p/out/train.py")
    program.write_text(program.read_text() + "# mine\n")
    result = subprocess.run([sys.executable, "out/train.py"], cwd="p", capture_output=True, text=True, check=False)
    assert "(the program was edited since it was built: about there)" in result.stderr


def test_without_its_map_a_program_fails_as_python_does(run: Run) -> None:
    started(run, "-D", "value=0")
    Path("p/out/train.py.map.json").unlink()
    result = subprocess.run([sys.executable, "out/train.py"], cwd="p", capture_output=True, text=True, check=False)
    assert result.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_program_that_needs_no_runtime_loads_it_for_other_values_only(run: Run) -> None:
    write_project()
    config = Path("p/templates/configs/a.yaml")
    config.write_text(config.read_text().replace("!singleton:fgc_runtime.generate.stops:StopFilter [ [ x ] ]", "1"))
    assert run("-p", "p", "build", "-o", "p/out").code == 0
    mentions = [line for line in Path("p/out/train.py").read_text().splitlines() if "fgc_runtime" in line]
    assert mentions == ["        from fgc_runtime.settings import read_command_line"]  # where there are words


@pytest.mark.slow
def test_torchrun_hears_of_it_from_every_rank(run: Run, tmp_path: Path) -> None:
    write_project()
    assert run("-p", "p", "build", "-o", "p/out", "-D", "value=0").code == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--log-dir", str(tmp_path / "logs"), "--redirects", "3", "out/train.py"]
    subprocess.run(command, cwd="p", capture_output=True, text=True, check=False)
    notes = "configured at templates/base.yaml:2:13 as `main.rate`"
    errors = sorted((tmp_path / "logs").rglob("stderr.log"))
    assert len(errors) == 2 and all(notes in file.read_text() for file in errors)
    (first, *_) = (tmp_path / "logs").rglob("error.json")
    assert notes in json.loads(first.read_text())["message"]["extraInfo"]["py_callstack"]
    assert line_of(Path("p/out/train.py"), "@record") > 0


OWN = """\
import threading


def now(f):
    return f()


def in_thread(f):
    thread = threading.Thread(target=f)
    thread.start()
    thread.join()


def bad(x):
    return x / 0


class Ratio:
    def of(self, x):
        return 1 / x
"""


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("!call:own.py:now [ !partial:own.py:bad { x: 1 } ]", "c.yaml:3:26 as `main[0][1][0]`"),
        ("!call:own.py:in_thread [ !partial:own.py:bad { x: 1 } ]", "c.yaml:3:32 as `main[0][1][0]`"),
        ("!call:call [ !call:getattr [ !call:own.py:Ratio {}, of ], 0 ]", "c.yaml:3:7 as `main[0][1]`"),
    ],
)
def test_an_error_of_a_part_that_has_no_variable_names_the_part(run: Run, part: str, place: str) -> None:
    Path("own.py").write_text(OWN)
    Path("c.yaml").write_text(f"main: !call:list\n  - - !call:fgc_runtime.options:absolute_path [ a ]\n    - {part}\n")
    assert run("build", "c.yaml", "-o", "out").code == 0
    result = subprocess.run([sys.executable, "out/train.py"], capture_output=True, text=True, check=False)
    assert result.stderr.splitlines()[-2] == f"configured at {place}"
