"""Objects of another project, from Python and in a configuration: resolved there, constructed here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fgc import ConfigurationError, Project, from_project
from fgc.cli.main import main

BASE = """\
thing: &thing !singleton:parts/thing.py:Thing [ {{ joinpath(project_dir, 'x') | toyaml }}, {{ size | default(2) }} ]
pair: !tuple [ *thing, *thing ]
fresh: !factory:collections:OrderedDict []
rate: !var { name: rate, default: 0.5 }
helper: !singleton:only_here:get []
inner: !meta:fgc:from_project [ ../third, null, main ]
root: {{ workspace_root | toyaml }}
main: [ *thing ]
"""
THING = """\
from .size import twice

class Thing:
    def __init__(self, where, size):
        self.where, self.size = where, twice(size)
"""
USER = """\
.one: &one !meta:fgc:from_project { project_dir: ../base, config: parts, targets: thing, variables: { size: 7 } }
.pair: &pair !meta:fgc:from_project { project_dir: ../base, config: parts.yaml, targets: pair, variables: { size: 7 } }
.other: &other !meta:fgc:from_project { project_dir: {{ joinpath(workspace_root, 'base') | toyaml }}, targets: thing }
both: !meta:fgc:from_project { project_dir: ../base, targets: [rate, helper, inner, root] }
fresh: [ &f !meta:fgc:from_project [ ../base, parts, fresh ], *f ]
main: !dict { one: *one, pair: *pair, other: *other }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "forgather_workspace/x": "",
        "base/meta.yaml": "name: Base\nsystem_path: modules\n",
        "base/templates/configs/parts.yaml": BASE,
        "base/parts/thing.py": THING,
        "base/parts/size.py": "def twice(size):\n    return 2 * size\n",
        "base/modules/only_here.py": "def get():\n    return 'from base/modules'\n",
        "third/meta.yaml": "name: Third\n",
        "third/templates/configs/c.yaml": "main: {{ joinpath(project_dir, 'y') | toyaml }}\n",
        "user/meta.yaml": "name: User\n",
        "user/templates/configs/c.yaml": USER,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path / "user")
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_python_takes_one_target_or_several_by_name(folder: Path) -> None:
    assert from_project("../base", "parts", "thing", size=4).size == 8
    taken = from_project(folder / "base", targets=["thing", "pair"])
    assert list(taken) == ["thing", "pair"] and taken["pair"][0] is taken["thing"]
    assert from_project("../third") == str(folder / "third/y")
    with pytest.raises(ConfigurationError, match="did you mean `thing`"):
        from_project("../base", "parts", "thign")


def test_a_configuration_takes_objects_with_their_own_folder_files_and_variables(folder: Path) -> None:
    built = Project()()
    assert built["one"].where == str(folder / "base/x") and built["one"].size == 14
    assert built["other"].size == 4


def test_one_configuration_with_the_same_variables_is_one_set_of_objects() -> None:
    built = Project()()
    assert built["pair"] == (built["one"], built["one"]) and built["other"] is not built["one"]


def test_factories_variables_modules_and_third_projects_keep_their_meaning(folder: Path) -> None:
    fresh = Project()("fresh")
    assert fresh[0] == fresh[1] and fresh[0] is not fresh[1]
    both = Project()("both", rate=0.25)
    assert both == {
        "rate": 0.25,
        "helper": "from base/modules",
        "inner": str(folder / "third/y"),
        "root": str(folder),
    }


def test_the_program_stands_alone_and_a_change_in_the_other_project_makes_it_stale(folder: Path) -> None:
    Path("templates/configs/c.yaml").write_text(USER.replace("main:", "parts:") + "main: *one\n")
    assert main(["build", "-o", "out"]) == 0
    text = Path("out/train.py").read_text()
    assert 'BASE_DIR = os.path.normpath(os.path.join(PROJECT_DIR, "../base"))' in text
    assert "from sources.thing import Thing" in text and Path("out/sources/thing/size.py").is_file()
    (folder / "base/parts/thing.py").unlink()
    probe = (
        "import train, sources.thing as local; made = []; "
        "local.Thing.__init__ = lambda self, *given: made.append(given); train.main(); print(made)"
    )
    environment = {**os.environ, "PYTHONPATH": "out"}
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"[('{folder}/base/x', 7)]\n"
    inputs = json.loads(Path("out/manifest.json").read_text())["inputs"]
    assert {"../base/templates/configs/parts.yaml", "../base/meta.yaml", "../base/parts/size.py"} <= set(inputs)


def test_a_change_in_the_other_project_is_seen_by_cached_commands(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0
    (folder / "base/templates/configs/parts.yaml").write_text("thing: {{ nope }}\n")
    assert main(["check"]) == 1
    assert "../base/templates/configs/parts.yaml:1:11" in capsys.readouterr().err.replace(str(folder), "..")


@pytest.mark.parametrize(
    ("call", "text"),  # `^` stands before the place
    [
        ("{ project_dir: ^../bsae }", "FGC415"),
        ("{ project_dir: ../base, config: ^prats }", "did you mean `parts.yaml`"),
        ("{ project_dir: ../base, targets: ^thign }", "did you mean `thing`"),
        ("{ project_dir: ../base, targets: [thing, ^3] }", "the name of a target, or a list"),
        ("{ project_dir: ../base, targets: ^[] }", "names no target"),
        ("{ ^project: ../base }", "did you mean `project_dir`"),
        ("{ ^elsewhere: ../base }", "it has: project_dir, config, targets, variables"),
        ("^ { config: parts }", "needs the argument `project_dir`"),
        ("^ [ ../base, parts, thing, {}, 5 ]", "at most 4"),
        ("{ project_dir: ^3 }", "must be a text"),
        ("{ project_dir: ../base, variables: ^3 }", "`variables` is a mapping"),
        ("{ project_dir: ../base, variables: { a: ^!call:object [] } }", "is constructed when"),
        ("{ project_dir: ^. }", "in a circle"),
    ],
)
def test_what_cannot_be_taken_is_said_where_it_is_written(
    capsys: pytest.CaptureFixture[str], call: str, text: str
) -> None:
    line = "main: !meta:fgc:from_project ^" if call.startswith("^") else "main: !meta:fgc:from_project "
    Path("templates/configs/c.yaml").write_text(line.rstrip("^") + call.replace("^", "") + "\n")
    column = line.index("!") + 1 if call.startswith("^") else (line + call).index("^") + 1
    assert main(["check"]) == 1
    found = capsys.readouterr().err
    assert text in found and f"templates/configs/c.yaml:1:{column}\n" in found, found
    assert found.count("error[") == 1, found


def test_a_circle_of_projects_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "third/templates/configs/c.yaml").write_text("main: !meta:fgc:from_project [ ../user, c, main ]\n")
    assert main(["check"]) == 1
    found = capsys.readouterr().err
    assert "third/templates/configs/c.yaml" in found and "in a circle" in found


def test_errors_of_the_other_project_are_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "base/meta.yaml").write_text("name: {{ nope }}\n")
    assert main(["check"]) == 1
    found = capsys.readouterr().err
    assert "the project has errors" in found and "`nope` is undefined" in found and "base/meta.yaml:1:10" in found
    Path("templates/configs/c.yaml").write_text("main: !meta:fgc:from_projekt [ ../base ]\n")
    assert main(["build", "-o", "out"]) == 1
    assert "did you mean `fgc:from_project`" in capsys.readouterr().err


def test_two_models_of_one_name_are_no_silent_loss(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for project, width in (("base", 64), ("third", 32)):
        (folder / project / "templates/configs/m.yaml").write_text(
            "-- extends 'types/training_script/causal_lm/causal_lm.yaml'\n"
            "[construct_new_model]\n    -- include 'm.model'\n"
            "#---- m.model ----\n-- extends 'causal_lm.model'\n"
            f"[model_config]\n    == super()\n    hidden_size: {width}\n"
        )
    take = "!meta:fgc:from_project { project_dir: ../%s, config: m, targets: model }"
    Path("templates/configs/c.yaml").write_text(f"main: [ {take % 'base'}, {take % 'third'} ]\n")
    assert main(["build", "-o", "out"]) == 1
    assert "two different models are called" in capsys.readouterr().err


def test_a_program_with_a_model_of_its_own_beside_that_of_another_project_is_built(folder: Path) -> None:
    text = "-- extends 'types/training_script/causal_lm/causal_lm.yaml'\n[config_metadata]\n    == super()\n"
    (folder / "base/templates/configs/m.yaml").write_text(text + "    -- set ns.model_name = 'theirs'\n")
    take = "theirs: !meta:fgc:from_project { project_dir: ../base, config: m, targets: model }\n"
    Path("templates/configs/c.yaml").write_text(
        text + "    -- set ns.model_name = 'ours'\n[auxiliary_outputs]\n" + take
    )
    assert main(["build", "-o", "out"]) == 0
    assert Path("out/ours").is_dir() and not Path("out/theirs").exists()
    assert main(["build", "-o", "both", "--target", "theirs"]) == 0
    assert Path("both/theirs/modeling_theirs.py").is_file()


def test_a_variable_of_the_other_project_is_given_an_object_of_this_one(folder: Path) -> None:
    Path("templates/configs/c.yaml").write_text("""\
own: &own !singleton:collections:Counter [ aab ]
one: &one !meta:fgc:from_project { project_dir: ../base, targets: rate, rate: *own }
again: &again !meta:fgc:from_project { project_dir: ../base, targets: [ rate, main ], rate: *own }
other: &other !meta:fgc:from_project { project_dir: ../base, targets: [ rate ] }
main: !list [ *own, *one, *again, *other ]
""")
    own, one, again, other = Project()()
    assert own == {"a": 2, "b": 1} and one is own and again["rate"] is own
    assert other["rate"] == 0.5, "without an object the variable has its default"


def test_what_no_variable_of_the_other_project_takes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for slip, help in (("rat", "rate"), ("confg", "config"), ("nothing", None)):
        Path("templates/configs/c.yaml").write_text(
            f"main: !meta:fgc:from_project {{ project_dir: ../base, targets: rate, {slip}: 3 }}\n"
        )
        assert main(["check", "--format", "json"]) == 1
        (finding,) = json.loads(capsys.readouterr().out)["findings"]
        assert finding["message"] == f"`fgc:from_project` has no parameter `{slip}`"
        assert finding["help"].startswith(f"did you mean `{help}`?" if help else "it has: project_dir, config")


def test_a_run_time_text_for_a_template_of_the_other_project_is_the_text_of_now(folder: Path) -> None:
    Path("templates/configs/c.yaml").write_text("""\
main: !meta:fgc:from_project
    project_dir: ../base
    targets: thing
    variables: !dict { size: "{{ joinpath(project_dir, 'a') }}" }
""")
    assert Project()().size == 2 * str(folder / "user/a")
