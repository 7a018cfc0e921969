"""`fgc diff`: configurations, builds and runs side by side."""

import json
import shutil
from pathlib import Path

import pytest

from .conftest import Run
from .traced import write_project

DEEP = 12


@pytest.fixture(autouse=True)
def _project(run: Run) -> None:
    write_project()
    config = Path("p/templates/configs/a.yaml")
    Path("p/templates/configs/b.yaml").write_text(config.read_text().replace("'2'", "'7'"))


def test_two_learning_rates_twelve_templates_deep_are_one_line(run: Run) -> None:
    folder = Path("deep")
    folder.mkdir()
    (folder / "t0.yaml").write_text("-- block lr\n    lr: 2.0e-3\n-- endblock\n")
    for level in range(1, DEEP):
        (folder / f"t{level}.yaml").write_text(f"-- extends 't{level - 1}.yaml'\n\n[lr]\n    == super()\n")
    frame = "optimizer: &o !partial:torch.optim:AdamW\n-- include 't{}.yaml'\nmain: !call:m:T [ *o ]\n"
    (folder / "a.yaml").write_text(frame.format(DEEP - 1))
    (folder / "t12.yaml").write_text(f"-- extends 't{DEEP - 1}.yaml'\n\n[lr]\n    lr: 1.0e-3\n")
    (folder / "b.yaml").write_text(frame.format(DEEP))
    result = run("diff", "deep/a.yaml", "deep/b.yaml")
    assert (result.code, result.err) == (1, "")
    assert result.out == "~ optimizer.lr: 0.002 -> 0.001  [deep/t0.yaml:2:9 -> deep/t12.yaml:4:9]\n"


def test_configurations_of_a_project_are_compared_by_name(run: Run) -> None:
    places = "[p/templates/configs/a.yaml:8:34 -> p/templates/configs/b.yaml:8:34]"
    result = run("-p", "p", "diff", "a.yaml", "b.yaml")
    assert (result.code, result.out) == (1, f"~ steps[1][0]: '2' -> '7'  {places}\n")
    assert run("-p", "p", "-t", "b.yaml", "diff", "a.yaml").out == result.out
    assert run("-p", "p", "diff", "a.yaml").code == 0


def test_a_build_is_compared_with_what_a_build_would_give_now(run: Run) -> None:
    assert run("-p", "p", "build", "-o", "p/out").code == 0
    same = run("-p", "p", "diff", "p/out")
    assert (same.code, same.out) == (0, "no differences: p/out and a.yaml\n")
    base = Path("p/templates/base.yaml")
    base.write_text(base.read_text().replace("size: 3", "size: 4"))
    changed = run("-p", "p", "diff", "p/out")
    assert changed.code == 1
    assert changed.out == "~ make.size: 3 -> 4  [p/templates/base.yaml:7:11]\n"
    program = run("-p", "p", "diff", "p/out", "--program")
    removed = [line for line in program.out.splitlines() if line.startswith(("-", "+"))]
    assert program.code == 1 and removed[:2] == ["--- p/out/train.py", "+++ a.yaml/train.py"]
    assert len(removed) == 4 and "size=3" in removed[2] and "size=4" in removed[3]


def test_two_runs_are_compared_by_what_lies_in_their_folders(run: Run) -> None:
    for name, value in (("one", "2"), ("two", "3")):
        assert run("-p", "p", "build", "-o", "p/out", "-D", f"value={value}").code == 0
        Path(f"runs/{name}").mkdir(parents=True)
        for kept in ("config.yaml", "graph.json", "manifest.json"):
            shutil.copyfile(f"p/out/{kept}", f"runs/{name}/{kept}")
    result = run("diff", "runs/one", "runs/two")
    assert result.code == 1 and result.out.startswith("~ rate.value: 2 -> 3  [")
    for name in ("one", "two"):  # as runs of earlier versions have it
        Path(f"runs/{name}/graph.json").unlink()
    result = run("diff", "runs/one", "runs/two", "--format", "json")
    (found,) = json.loads(result.out)["differences"]
    assert (found["path"], found["old"]["text"], found["new"]["text"]) == ("rate.value", "2", "3")
    assert found["new"]["place"]["file"] == "runs/two/config.yaml"


def test_names_of_templates_alone_are_no_difference_of_programs(run: Run) -> None:
    Path("p/templates/configs/c.yaml").write_text(Path("p/templates/configs/a.yaml").read_text())
    assert run("-p", "p", "diff", "a.yaml", "c.yaml", "--program").code == 0
    assert run("-p", "p", "diff", "a.yaml", "c.yaml").code == 0


def test_run_time_values_are_compared_as_expressions(run: Run) -> None:
    for folder in ("x", "y"):
        Path(folder).mkdir()
        Path(f"{folder}/c.yaml").write_text("a: {{ project_dir }}/{{ filetime() }}\n")
    assert run("diff", "x/c.yaml", "y/c.yaml").code == 0
    Path("y/c.yaml").write_text("a: {{ project_dir }}/{{ isotime() }}\n")
    result = run("diff", "x/c.yaml", "y/c.yaml")
    assert result.out.startswith("~ a: '${project_dir}/${filetime()}' -> '${project_dir}/${isotime()}'")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nope.yaml", "p"), "there is no file `nope.yaml`"),
        (("p/templates",), "is neither a build nor a run"),
        (("p", "p", "p"), "two sides are compared, not 3"),
        (("p", "p", "--program", "--format", "json"), "`--program` prints text only"),
    ],
)
def test_what_cannot_be_compared_is_said_with_code_2(run: Run, words: tuple[str, ...], message: str) -> None:
    result = run("diff", *words)
    assert result.code == 2 and message in result.err


def test_a_configuration_with_errors_is_not_compared(run: Run) -> None:
    Path("bad.yaml").write_text("a: *nope\n")
    result = run("diff", "bad.yaml", "p")
    assert result.code == 2 and "FGC302" in result.err and "`bad.yaml` has errors" in result.err
