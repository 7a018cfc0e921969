"""The examples are clean, and what their READMEs show is what the commands print."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from fgc.workspace.starter import NewProject, project_files

from .conftest import Run

EXAMPLES = Path(__file__).parents[3] / "examples"
PROJECTS = sorted(path.parent for path in EXAMPLES.rglob("meta.yaml"))
READMES = [path / "README.md" for path in PROJECTS if (path / "README.md").is_file()]
_CONSOLE = re.compile(r"```console\n\$ fgc (.*)\n((?:.*\n)*?)```")


@pytest.fixture
def copied(run: Run) -> Path:
    """The examples' workspace, without what was built in it."""
    ignored = shutil.ignore_patterns("out", "output_models")
    return Path(shutil.copytree(EXAMPLES, Path.cwd() / "examples", ignore=ignored))


def test_all_examples_are_clean_and_formatted(run: Run, copied: Path) -> None:
    result = run("check", "examples")
    assert result.code == 0, result.err
    assert run("fmt", "--check", "examples").code == 0
    assert run("ls", "-r", "examples").code == 0


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_every_configuration_builds(run: Run, copied: Path, project: Path) -> None:
    folder = copied / project.relative_to(EXAMPLES)
    for path in (folder / "templates/configs").rglob("*.yaml"):
        name = path.relative_to(folder / "templates/configs").as_posix()
        result = run("-p", str(folder), "-t", name, "build", "-o", f"out/{path.stem}")
        assert result.code == 0, result.err


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_a_readme_shows_what_the_commands_print(
    run: Run, copied: Path, readme: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(copied / readme.parent.relative_to(EXAMPLES))
    library = str(EXAMPLES.parent / "stdlib/fgc_stdlib")

    def printed(match: re.Match[str]) -> str:
        out = run(*shlex.split(match[1])).out.replace(library, ".../fgc_stdlib")
        return f"```console\n$ fgc {match[1]}\n{out}```"

    text = readme.read_text(encoding="utf-8")
    fresh = _CONSOLE.sub(printed, text)
    if request.config.getoption("--update-corpus"):
        readme.write_text(fresh, encoding="utf-8")
    assert fresh == text or request.config.getoption("--update-corpus")


def test_the_template_project_is_what_a_new_project_is() -> None:
    about = "Copy this folder to start a project of your own"
    made = project_files(NewProject("Template project", about, "configs", "default.yaml", True))
    for name in ("meta.yaml", "templates/configs/default.yaml"):
        ours = (EXAMPLES / "template_project" / name).read_text(encoding="utf-8")
        assert ours.replace("'", '"') == made[name].replace("'", '"'), name


@pytest.mark.slow
def test_an_example_trains_and_its_checkpoint_is_listed(
    copied: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("XDG_CACHE_HOME", str(copied / "cache")), ("OMP_NUM_THREADS", "1"), ("HF_HUB_OFFLINE", "1")):
        monkeypatch.setenv(name, value)
    project = copied / "tutorials/projects_overview"
    choice = ("-p", str(project), "-t", "sizes/narrow.yaml")
    assert run(*choice, "train", "--max-steps", "2").code == 0
    assert run(*choice, "checkpoint", "list").out.split()[0] == "2"
