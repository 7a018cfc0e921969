"""`fgc ws`: what is made, that nothing is overwritten, names that are no ordinary names."""

import os
import threading
from pathlib import Path

import pytest
from fgc.workspace.create import CreateError, create_folder, folder_name, package_name

from .conftest import Run

STRANGE_NAMES = [
    "My Project",
    "-x",
    "{{ a }} {% b %} {# c #} ## d",
    "quotes ' \" and \\ and \\x41 and \\n",
    "Pröject 数学 🙂",
    "a: b, [c] & *d | e > f ! g % h @ i ` j",
    "yes",
    "torch",
]


@pytest.fixture
def workspace(run: Run) -> None:
    assert run("ws", "init", "--name", "W").code == 0


def test_a_workspace_has_its_files(run: Run) -> None:
    result = run("ws", "init", "--name", "My {W}", "--description", "Of {{ mine }}")
    assert result.code == 0 and "fgc ws project" in result.out
    names = sorted(path.name for path in Path("forgather_workspace").iterdir())
    assert names == ["README.md", "base_directories.yaml", "meta_defaults.yaml"]
    assert Path("forgather_workspace/README.md").read_text().startswith("# My {W}\n\nOf {{ mine }}\n")


def test_a_workspace_is_called_as_its_folder(run: Run) -> None:
    assert run("ws", "init").code == 0
    assert Path("forgather_workspace/README.md").read_text().startswith(f"# {Path.cwd().name}\n")


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_a_project_of_any_name_is_listed_clean_and_formatted(run: Run, name: str) -> None:
    made = run("ws", "project", f"--name={name}", f"--description={name}")
    assert made.code == 0, made.err
    assert f"  * default.yaml  {name}: {name}\n" in run("ls", "-r").out
    assert run("check", ".").out == "1 configuration checked, no findings\n"
    assert run("fmt", "--check", ".").code == 0


@pytest.mark.usefixtures("workspace")
def test_the_project_builds_a_training_program(run: Run) -> None:
    run("ws", "project", "--name", "First try")
    result = run("-p", "first_try", "build", "-o", "out")
    assert result.code == 0 and Path("out/first_try/modeling_first_try.py").is_file()


@pytest.mark.usefixtures("workspace")
def test_directory_prefix_and_default_configuration_can_be_chosen(run: Run) -> None:
    line = ("ws", "project", "--name", "N", "--config-prefix", "exp", "--default-config", "small", "deep/n")
    assert run(*line).code == 0
    assert Path("deep/n/templates/exp/small.yaml").is_file()
    assert "  * small.yaml" in run("ls", "deep/n").out


def test_extra_folders_and_those_of_a_shared_checkout_are_searched(run: Run) -> None:
    Path("shared/a 'b'").mkdir(parents=True)
    Path("lib/templatelib/base").mkdir(parents=True)
    assert run("ws", "init", "--name", "W", "--forgather-dir", "lib", "shared/a 'b'").code == 0
    run("ws", "project", "--name", "N")
    path = run("-p", "n", "meta").out
    assert path.index("n/templates") < path.index("shared/a 'b'") < path.index("lib/templatelib/base")


def test_a_workspace_has_the_library_that_it_names_and_ours_otherwise(run: Run) -> None:
    Path("old/templatelib/base").mkdir(parents=True)
    Path("old/templatelib/base/config_type.yaml").write_text(
        "-- set ns = namespace()\n-- include 'base_directories.yaml'\nhere: {{ ns.forgather_dir }}\n"
    )
    assert run("ws", "init", "--name", "W", "--forgather-dir", "old").code == 0
    assert run("ws", "project", "--name", "N").code == 0
    assert run("check", ".").out == "1 configuration checked, no findings\n"
    assert "  * default.yaml  N\n" in run("ls", "-r").out
    config = Path("n/templates/configs/default.yaml")
    config.write_text("-- extends 'config_type.yaml'\n")
    assert run("-p", "n", "pp").out == f"here: {Path.cwd() / 'old'}"
    config.write_text("-- extends 'types/config_type.yaml'\n")
    assert "error[FGC201]" in run("-p", "n", "check").err + run("-p", "n", "check").out, "no mixture with ours"


def test_a_checkout_without_a_library_leaves_ours_and_its_folder_has_a_name(run: Run) -> None:
    Path("empty").mkdir()
    assert run("ws", "init", "--name", "W", "--forgather-dir", "empty").code == 0
    assert run("ws", "project", "--name", "N").code == 0
    config = Path("n/templates/configs/default.yaml")
    assert "causal_lm.yaml" in config.read_text()
    config.write_text(
        config.read_text().replace(
            "-- set ns.config_description = ''", "-- set ns.config_description = ns.forgather_dir"
        )
    )
    assert f"* default.yaml  N: {Path.cwd() / 'empty'}\n" in run("ls", "-r").out


def test_no_defaults_leaves_out_the_shared_checkout(run: Run) -> None:
    Path("lib/templatelib/base").mkdir(parents=True)
    assert run("ws", "init", "--name", "W", "--forgather-dir", "lib", "--no-defaults").code == 0
    run("ws", "project", "--name", "N")
    assert "templatelib" not in run("-p", "n", "meta").out


@pytest.mark.usefixtures("workspace")
def test_what_is_there_is_never_overwritten(run: Run) -> None:
    assert "already exists" in run("ws", "init", "--name", "W").err
    Path("n").mkdir()
    Path("m").write_text("mine")
    Path("dangling").symlink_to("nowhere")
    for folder in ("n", "m", "dangling"):
        result = run("ws", "project", "--name", folder)
        assert result.code == 2 and "already exists" in result.err
    assert not list(Path("n").iterdir()) and Path("m").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ("ws", "project", "--name", "n"),  # no workspace
        ("ws", "init", "--name", " "),
        ("ws", "init", "--name", "two\nlines"),
        ("ws", "init", "--name", "W", "missing"),
    ],
)
def test_what_cannot_be_made_changes_nothing(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).code == 2
    assert not os.listdir()  # noqa: PTH208


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("option", ["--config-prefix=../x", "--default-config=/x.yaml", "--default-config=a/../../x"])
def test_a_configuration_outside_the_project_is_refused(run: Run, option: str) -> None:
    assert run("ws", "project", "--name", "n", option).code == 2
    assert not Path("n").exists()


def test_of_two_at_once_one_makes_the_folder(tmp_path: Path) -> None:
    made, refused = [], []

    def make(number: int) -> None:
        try:
            create_folder(tmp_path / "n", {"who": str(number), "deep/file": "x" * 10_000})
            made.append(number)
        except CreateError:
            refused.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    assert (tmp_path / "n/who").read_text() == str(made[0])
    assert [path.name for path in tmp_path.iterdir()] == ["n"]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create_folder(tmp_path / "n", {"a/b": ""})
    assert not list(tmp_path.iterdir())


def test_names_of_folders_and_packages() -> None:
    assert folder_name("My  Project: 2!") == "my_project_2"
    assert folder_name("--- ") == "project"
    assert package_name("Größe 7") == "groe_7"
    assert package_name("torch") == "torch_model"
    assert package_name("7 layers") == "model_7_layers"
    assert package_name("数学") == "project"


def test_templates_of_the_user_serve_the_description_of_a_project(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path.cwd() / "config"))
    Path("forgather_workspace").mkdir()
    Path("config/forgather/templates").mkdir(parents=True)
    Path("config/forgather/templates/mine.yaml").write_text("name: From my folder\n")
    Path("p").mkdir()
    Path("p/meta.yaml").write_text("-- include 'mine.yaml'\n\nsearchdir: .\n")
    assert "From my folder" in run("ls", "p").out
