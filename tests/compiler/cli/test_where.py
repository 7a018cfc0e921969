"""`fgc where`: generated lines to template lines and back."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run
from .traced import line_of, write_project

LIBRARY = Path(__file__).parents[3] / "stdlib/fgc_stdlib"


@pytest.fixture
def built(run: Run) -> Path:
    """The build, with the project as the current folder's `p`."""
    write_project()
    assert run("-p", "p", "build", "-o", "p/out").code == 0
    return Path("p/out")


def found(run: Run, *words: str) -> list[dict[str, object]]:
    result = run("where", *words, "--format", "json")
    form = json.loads(result.out)
    assert form["version"] == 1
    items: list[dict[str, object]] = form["found"]
    return items


def test_a_generated_line_leads_to_the_line_and_column_of_the_inherited_template(run: Run, built: Path) -> None:
    line = line_of(built / "train.py", "value=2")
    result = run("where", f"{built}/train.py:{line}")
    assert result.code == 0
    assert "main.rate" in result.out and "--> p/templates/base.yaml:2:13" in result.out
    assert "2 | rate: &rate !singleton:parts.py:Rate\n  |             ^^^^^^^^^^^^^^^^^^^^^^^^\n" in result.out


def test_a_column_chooses_the_innermost_object(run: Run, built: Path) -> None:
    text = (built / "train.py").read_text().split("\n")
    line = line_of(built / "train.py", "value=2")
    (item,) = found(run, f"{built}/train.py:{line}:{text[line - 1].index('value=') + 1}")
    assert item["path"] == "main.rate.value"
    template = item["template"]
    assert isinstance(template, dict)
    place = (template["file"], template["line"], template["column"], template["is_current"])
    assert place == ("p/templates/base.yaml", 3, 15, True)


def test_the_import_of_a_callable_leads_to_its_tag(run: Run, built: Path) -> None:
    line = line_of(built / "train.py", "import Rate")
    (item,) = found(run, f"{built}/train.py:{line}:{len('from sources.parts import R')}")
    assert item["path"] == "main.rate"


def test_an_option_of_the_program_leads_to_its_declaration(run: Run) -> None:
    text = "dynamic_args:\n    max_steps: { type: int }\nmain: !call:print [ {{ max_steps | default(3) }} ]\n"
    Path("c.yaml").write_text(text)
    assert run("build", "c.yaml", "-o", "out").code == 0
    (item,) = found(run, f"out/train.py:{line_of(Path('out/train.py'), '--max-steps')}")
    template = item["template"]
    assert isinstance(template, dict) and (template["line"], template["column"]) == (2, 5)
    assert item["path"] == "dynamic_args.max_steps"


def test_an_item_of_a_list_has_its_number_in_the_path(run: Run, built: Path) -> None:
    text = (built / "train.py").read_text().split("\n")
    line = line_of(built / "train.py", 'Step("2")')
    (item,) = found(run, f"{built}/train.py:{line}:{text[line - 1].index('Step(' + chr(34) + '2') + 1}")
    assert item["path"] == "main.steps[1]"


def test_a_template_line_leads_to_what_was_generated_from_it(run: Run, built: Path) -> None:
    items = found(run, "p/templates/base.yaml:3", "-o", str(built))
    assert [(item["file"], item["path"]) for item in items] == [("train.py", "main.rate.value"), ("config.yaml", None)]
    assert items[0]["line"] == line_of(built / "train.py", "value=2")


def test_a_template_line_that_gives_nothing_names_its_neighbours(run: Run, built: Path) -> None:
    result = run("where", "p/templates/base.yaml:4", "-o", str(built))
    assert (result.code, result.err) == (1, "")
    assert result.out == (
        "nothing in the build comes from line 4 of templates/base.yaml; something comes from line 3 and from line 6\n"
    )


def test_a_line_of_a_copied_file_leads_to_the_same_line_of_the_project(run: Run, built: Path) -> None:
    (item,) = found(run, f"{built}/sources/parts.py:{line_of(built / 'sources/parts.py', 'int(self.text)')}")
    component = item["component"]
    assert isinstance(component, dict) and component["file"] == "p/parts.py"
    assert component["line"] == line_of(Path("p/parts.py"), "int(self.text)")


def test_a_whole_template_lists_everything_made_from_it(run: Run, built: Path) -> None:
    result = run("where", "p/templates/base.yaml", "-o", str(built))
    assert result.code == 0
    assert {line.partition(":")[0] for line in result.out.splitlines()} == {"2", "3", "6", "7", "8"}


def test_the_line_of_config_yaml_leads_to_its_template(run: Run, built: Path) -> None:
    (item,) = found(run, f"{built}/config.yaml:{line_of(built / 'config.yaml', 'size: 3')}")
    template = item["template"]
    assert isinstance(template, dict) and (template["name"], template["line"]) == ("templates/base.yaml", 7)


def test_a_traceback_from_elsewhere_gets_its_template_lines(
    run: Run, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = line_of(built / "train.py", "value=2")
    log = f'[rank1]: x\n  File "/mnt/job/out/train.py", line {line}, in main\n    rate = Rate(value=2)\n'
    monkeypatch.setattr(sys, "stdin", io.StringIO(log))
    result = run("where", "-", "-o", str(built))
    lines = result.out.splitlines()
    assert lines[2] == "    configured at p/templates/base.yaml:2:13 as `main.rate`" and len(lines) == 4


def test_changes_since_the_build_are_said(run: Run, built: Path) -> None:
    template = Path("p/templates/base.yaml")
    template.write_text("\n" + template.read_text())
    program = built / "train.py"
    program.write_text(program.read_text() + "\n")
    result = run("where", f"{program}:{line_of(program, 'value=2')}")
    assert "templates/base.yaml was changed since the build" in result.out
    assert "`train.py` was edited since it was built" in result.err


def test_what_cannot_be_answered_is_said_with_code_2(run: Run, built: Path) -> None:
    assert "is not a build" in run("where", "p/templates/base.yaml", "-o", "p").err
    Path("p/other.yaml").write_text("a: 1\n")
    result = run("where", "p/other.yaml:1", "-o", str(built))
    assert result.code == 2 and "is not part of the build" in result.err
    assert run("where", f"{built}/manifest.json:1").code == 2


def test_a_line_of_a_model_leads_to_its_component_and_to_who_asks_for_it(run: Run) -> None:
    example = Path(__file__).parents[3] / "examples/tutorials/tiny_llama"
    out = Path("out").resolve()
    assert run("-p", str(example), "build", "-o", str(out)).code == 0
    modeling = out / "tiny_llama/modeling_tiny_llama.py"
    line = line_of(modeling, "nn.functional.rms_norm(")
    (item,) = found(run, f"{modeling}:{line}", "-p", str(example))
    template, component = item["template"], item["component"]
    assert isinstance(template, dict) and isinstance(component, dict)
    assert template["name"] == "@library/models/llama.yaml" and str(item["path"]).startswith(
        "main.trainer.model.model."
    )
    source = LIBRARY.parents[1] / "modelsrc/fgc_models/norms.py"
    assert component["line"] == line_of(source, "nn.functional.rms_norm(") and component["is_current"]
    config = out / "tiny_llama/configuration_tiny_llama.py"
    (item,) = found(run, f"{config}:{line_of(config, 'intermediate_size: int')}", "-p", str(example))
    assert item["path"] == "main.trainer.model.config.intermediate_size"


FAILING = {
    "two calls on one line": (
        "main: !call:print\n    - !call:int [ '1' ]\n    - !call:int [ 'x' ]\n",
        "two.yaml:3:7 as `main[1]`",
    ),
    "a call in a call": (
        "main: !call:print [ !call:int [ !call:json:loads [ x ] ] ]\n",
        "two.yaml:1:33 as `main[0][0]`",
    ),
    "an argument of two lines": (
        "main: !call:dict\n    a: !call:int [ '1' ]\n    b: !call:float [ 'y' ]\n",
        "two.yaml:3:8 as `main.b`",
    ),
    "an import that fails": ("main: !call:part.py:f []\n", "two.yaml:1:7 as `main`"),
    "a thread": (
        "main: !call:late.py:in_thread [ !partial:int [ x ] ]\n",
        "two.yaml:1:7 as `main`",
    ),
}


@pytest.mark.parametrize(("text", "place"), FAILING.values(), ids=list(FAILING))
@pytest.mark.parametrize("prefix", ["", "[rank0]:"])
def test_the_carets_of_a_traceback_tell_calls_of_one_line_apart(
    run: Run, monkeypatch: pytest.MonkeyPatch, text: str, place: str, prefix: str
) -> None:
    Path("part.py").write_text("import not_installed_here\ndef f(): ...\n")
    Path("late.py").write_text("import threading\ndef in_thread(f):\n    threading.Thread(target=f).start()\n    f()\n")
    Path("two.yaml").write_text(text)
    assert run("build", "two.yaml", "-o", "out").code == 0
    done = subprocess.run([sys.executable, "out/train.py"], capture_output=True, text=True, check=False)
    printed = "".join(f"{prefix}{line}" for line in done.stderr.splitlines(keepends=True))
    monkeypatch.setattr(sys, "stdin", io.StringIO(printed))
    told = [line.strip() for line in run("where", "-").out.splitlines() if "configured at" in line]
    assert f"configured at {place}" in told
