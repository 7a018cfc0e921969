"""`fgc check --generated`: every change that would make a build different is named, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compiler.cli.conftest import Run

TEMPLATES = {
    "forgather_workspace/meta_defaults.yaml": "-- block configs\n-- endblock\nsearchdir: [own, shared]\n",
    "p/meta.yaml": "-- extends 'meta_defaults.yaml'\n[configs]\nname: P\n",
    "p/own/parts.yaml": "a: 1\n",
    "p/shared/configs/c.yaml": (
        "-- include 'parts.yaml'\n\n-- include 'more.yaml' ignore missing\n\n"
        "main: !call:local.py:make [ 1, {{ steps | default(3) }} ]\n"
    ),
    "p/local.py": "def make(*args: int) -> object:\n    return args\n",
}


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


@pytest.fixture
def reasons(run: Run) -> Callable[..., list[str]]:
    """Builds a project, and says why the build is stale after `change`."""
    write(TEMPLATES)
    built = run("-p", "p", "build", "-o", "p/out")
    assert built.code == 0, built.err

    def call(change: Callable[[], object] = lambda: None, *words: str) -> list[str]:
        change()
        result = run("check", "--generated", "p/out", "--format", "json", *words)
        (verdict,) = json.loads(result.out)
        assert result.code == (not verdict["fresh"]) == bool(verdict["reasons"])
        return [f"{reason['kind']} {reason['name']}" for reason in verdict["reasons"]]

    return call


Reasons = Callable[..., list[str]]


def test_a_build_is_fresh_at_first(reasons: Reasons, run: Run) -> None:
    assert reasons() == []
    assert run("check", "--generated", "p/out").out.startswith("`p/out` is fresh: 5 inputs and ")


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_file_that_went_in_counts(reasons: Reasons, name: str) -> None:
    shown = {"forgather_workspace/meta_defaults.yaml": "../forgather_workspace/meta_defaults.yaml"}
    assert reasons(lambda: write({name: TEMPLATES[name] + "\n# more\n"})) == [
        f"changed {shown.get(name, name.removeprefix('p/'))}"
    ]


def test_what_vanishes_counts(reasons: Reasons) -> None:
    assert reasons(Path("p/own/parts.yaml").unlink) == ["vanished own/parts.yaml"]


@pytest.mark.parametrize("name", ["own/configs/c.yaml", "shared/more.yaml", "meta_defaults.yaml"])
def test_what_would_now_be_found_first_counts(reasons: Reasons, name: str) -> None:
    assert reasons(lambda: write({f"p/{name}": "b: 1\n"})) == [f"appeared {name}"]


def test_other_files_and_line_ends_do_not_count(reasons: Reasons) -> None:
    def change() -> None:
        write({"p/own/other.yaml": "x: 1\n", "p/shared/parts.yaml": "shadowed\n", "p/out/__pycache__/x.pyc": ""})
        Path("p/own/parts.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\n")

    assert reasons(change) == []


def test_generated_files_that_were_touched_count(reasons: Reasons) -> None:
    def change() -> None:
        Path("p/out/train.py").write_text("print(1)\n")
        Path("p/out/config.yaml").unlink()

    assert reasons(change) == ["deleted config.yaml", "edited train.py"]


def test_arguments_count_where_they_are_given(reasons: Reasons, run: Run) -> None:
    assert reasons(lambda: None, "-D", "steps=3") == ["argument steps"]
    assert run("-p", "p", "build", "-o", "p/out", "-D", "steps=5").code == 0
    assert reasons() == reasons(lambda: None, "-D", "steps=5") == []
    assert reasons(lambda: None, "-D", "steps=6") == ["argument steps"]


def test_another_version_of_fgc_counts(reasons: Reasons, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgc.builds.freshness.__version__", "9.9")
    assert reasons() == ["version fgc"]


def test_it_does_not_need_the_configuration_to_compile(reasons: Reasons) -> None:
    assert reasons(lambda: write({"p/own/parts.yaml": "{{ nonsense }} : ["})) == ["changed own/parts.yaml"]


def test_a_copy_of_project_and_build_elsewhere_is_fresh(reasons: Reasons, run: Run, tmp_path: Path) -> None:
    Path.cwd().rename(tmp_path / "moved")
    assert run("check", "--generated", str(tmp_path / "moved/p/out")).code == 0


def test_the_text_says_how_to_build_again(reasons: Reasons, run: Run) -> None:
    write({"p/own/parts.yaml": "a: 2\n"})
    result = run("check", "--generated", "p/out")
    assert result.code == 1
    assert result.out == (
        "`p/out` is stale:\n  `own/parts.yaml` changed\n"
        "build it again in its project:  fgc build shared/configs/c.yaml -o p/out\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["p/own"], "`p/own` contains no manifest of a build"),
        (["nowhere"], "`nowhere` is not a folder"),
        (["p/out", "c.yaml"], "omit `c.yaml`"),
        (["p/out", "--format", "sarif"], "prints text or json"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(reasons: Reasons, run: Run, words: list[str], message: str) -> None:
    result = run("check", "--generated", *words)
    assert result.code == 2
    assert message in result.err


def test_another_black_counts(reasons: Reasons) -> None:
    manifest = Path("p/out/manifest.json")
    recorded = json.loads(manifest.read_text(encoding="utf-8"))
    change = {**recorded, "black": "1.0"}
    assert reasons(lambda: manifest.write_text(json.dumps(change), encoding="utf-8")) == ["version black"]


def test_the_advice_repeats_what_was_set_in_words_that_a_shell_takes(run: Run) -> None:
    Path("c.yaml").write_text("main: !call:dict { lr: 1 }\n")
    assert run("build", "c.yaml", "--set", "main.lr=2", "-D", "x=a b", "-o", "out").code == 0
    assert run("check", "--generated", "out", "-D", "x=a b").code == 0
    Path("c.yaml").write_text("main: !call:dict { lr: 3 }\n")
    told = run("check", "--generated", "out").out
    assert "fgc build c.yaml -o out --set main.lr=2 -D 'x=a b'\n" in told, told
