"""What users run into: no workspace, wrong names, folders that may not be read, closed pipes, narrow terminals."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run

_FGC = [sys.executable, "-m", "fgc"]
_AS_ANYBODY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]  # root that permissions hold for
META = "meta: { config_name: %s, config_description: %s }\n"


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


@pytest.fixture
def small(run: Run) -> Path:
    """A project `p` with two configurations, in the current folder."""
    write("forgather_workspace/x", "")
    write("p/meta.yaml", "name: P\ndefault_config: small.yaml\n")
    write("p/templates/configs/large.yaml", META % ("L", "is large"))
    write("p/templates/configs/small.yaml", META % ("S", "is small"))
    return Path("p")


@pytest.mark.parametrize(
    "command", ["pp", "targets", "graph", "code", "construct", "trefs", "train", "meta", "index", "tlist"]
)
def test_outside_of_every_project_a_command_says_what_to_name(run: Run, command: str) -> None:
    result = run(command)
    assert result.code == 2 and result.out == "" and "-p PROJECT" in result.err


@pytest.mark.parametrize("command", ["pp", "meta", "index", "tlist", "check", "train"])
def test_without_a_workspace_a_command_says_how_to_make_one(run: Run, command: str) -> None:
    write("meta.yaml", "name: P\n")
    result = run(command)
    assert result.code == 2 and "fgc ws init`" in result.err
    assert run("ls").code == 1


@pytest.mark.usefixtures("small")
def test_an_unknown_configuration_is_answered_with_the_nearest_or_all(run: Run) -> None:
    for words in (("pp",), ("train", "--dry-run"), ("check",), ("explain", "meta"), ("trefs",), ("checkpoint", "list")):
        result = run("-p", "p", "-t", "smal", *words)
        assert result.code == 2 and "did you mean `small.yaml`?" in result.err, words
    assert "it has: large.yaml, small.yaml" in run("-p", "p", "-t", "zzz", "pp").err


@pytest.mark.usefixtures("small")
def test_a_configuration_named_like_a_file_is_told_how_it_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("p")
    for word in ("small.yaml", "smal", "small"):
        for command in ("pp", "check"):
            result = run(command, word)
            assert result.code == 2 and "write `fgc -t small.yaml ...`" in result.err


@pytest.mark.usefixtures("small")
def test_a_default_configuration_that_is_not_there_is_a_warning(run: Run) -> None:
    write("p/meta.yaml", "default_config: smal.yaml\n")
    result = run("-p", "p", "check")
    assert result.code == 1 and "p/meta.yaml:1:17" in result.err and "did you mean `small.yaml`?" in result.err
    listed = run("ls", "p")
    assert listed.code == 0 and "*" not in listed.out and "did you mean `small.yaml`?" in listed.err


@pytest.mark.usefixtures("small")
def test_of_several_configurations_of_a_name_the_first_counts_and_the_others_are_shown(run: Run) -> None:
    write("more/configs/small.yaml", META % ("Other", "is hidden"))
    write("p/meta.yaml", "searchdir: [ templates, ../more ]\n")
    listed = run("ls", "p")
    assert "S: is small" in listed.out and "Other" not in listed.out
    assert "`small.yaml` is shadowed by `p/templates/configs/small.yaml` (more/configs/small.yaml)" in listed.err


def test_a_project_without_configurations_says_where_they_would_lie(run: Run) -> None:
    write("forgather_workspace/x", "")
    write("p/meta.yaml", "name: P\n")
    assert "write one: `p/templates/configs/NAME.yaml`" in run("-p", "p", "pp").err


@pytest.mark.usefixtures("small")
def test_links_that_lead_nowhere_or_to_themselves_stop_nothing(run: Run) -> None:
    Path("p/templates/configs/nowhere.yaml").symlink_to("gone")
    Path("p/templates/configs/self.yaml").symlink_to("self.yaml")
    for words in (("ls", "-r"), ("ls", "p"), ("check", ".")):
        result = run(*words)
        text = result.out + result.err
        assert result.code == 1 and "`p/templates/configs/nowhere.yaml` cannot be read" in text
        assert "`p/templates/configs/self.yaml` cannot be read: Too many levels" in text
    assert "S: is small" in run("ls", "p").out


def anybody(*words: str) -> subprocess.CompletedProcess[str]:
    command = [*_AS_ANYBODY, *_FGC, *words] if os.geteuid() == 0 else [*_FGC, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def can_be_anybody() -> bool:
    if os.geteuid() != 0:
        return True
    if shutil.which("setpriv") is None:
        return False
    return subprocess.run([*_AS_ANYBODY, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_be_anybody(), reason="root reads everything here")
def test_what_may_not_be_read_is_said_and_stops_no_other(small: Path) -> None:
    write("q/meta.yaml", "name: Q\n")
    write("q/templates/configs/a.yaml", META % ("A", "can be read"))
    config, configs = small / "templates/configs/small.yaml", small / "templates/configs"
    cases = [(config, "small.yaml", 1), (configs, "p/templates/configs", 1), (small, "`p` cannot be read", 1)]
    for path, text, code in cases:
        before = path.stat().st_mode
        path.chmod(0)
        try:
            listed, checked = anybody("ls", "-r"), anybody("check", ".")
        finally:
            path.chmod(before)
        assert listed.returncode == code and "A: can be read" in listed.stdout
        assert text in listed.stdout + listed.stderr and "cannot be read" in listed.stdout + listed.stderr
        assert checked.returncode in (1, 2) and "cannot be read" in checked.stderr and "bug" not in checked.stderr


@pytest.mark.parametrize(
    "words", ["-m fgc checkpoint list --folder OUT", "-m fgc construct a.yaml", "-m fgc_runtime.control list"]
)
@pytest.mark.usefixtures("run")
def test_no_reader_and_no_room_are_no_errors_of_what_is_listed(words: str) -> None:
    """Each of these has error handling of its own that could take a closed pipe for something else."""
    write("OUT/checkpoints/checkpoint-5/config.json", "{}")
    write("a.yaml", "main: !call:list [[1, 2]]\n")
    command = f"{sys.executable} {words}"
    script = f"{{ {command}; echo $? >&2; }} | true"
    closed = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert closed.stderr == "0\n"
    full = subprocess.run(["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr) == (2, "fgc: the output cannot be written: No space left on device\n")


@pytest.mark.usefixtures("small")
def test_a_reader_that_goes_a_full_disk_and_a_closed_output_are_no_bugs() -> None:
    for number in range(40):
        write(f"p{number}/meta.yaml", f"name: {'P' * 2000}\n")
        write(f"p{number}/templates/configs/a.yaml", "x: 1\n")
    fgc = f"{sys.executable} -m fgc"
    piped = subprocess.run(
        ["bash", "-c", f"{fgc} ls -r | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=True
    )
    assert piped.stdout.endswith("\n0\n") and piped.stderr == ""
    full = subprocess.run(["bash", "-c", f"{fgc} ls -r > /dev/full"], capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr) == (2, "fgc: the output cannot be written: No space left on device\n")
    closed = subprocess.run(["bash", "-c", f"{fgc} ls -r >&-"], capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_signal_while_a_project_is_made_leaves_nothing(run: Run) -> None:
    assert run("ws", "init", "--name", "W").code == 0
    program = (
        "import os, pathlib, signal, sys\n"
        "write, left, number = pathlib.Path.write_text, [2], int(sys.argv[1])\n"
        "def slow(*given, **named):\n"
        "    left[0] -= 1\n"
        "    if left[0] == 0: os.kill(os.getpid(), number)\n"
        "    return write(*given, **named)\n"
        "pathlib.Path.write_text = slow\n"
        "sys.argv = ['fgc', 'ws', 'project', '--name', 'x']\n"
        "from fgc.cli.main import run\n"
        "run()\n"
    )
    for number in (2, 15):
        done = subprocess.run([sys.executable, "-c", program, str(number)], capture_output=True, text=True, check=False)
        assert done.returncode == 128 + number, done.stderr
        assert [path.name for path in Path().iterdir()] == ["forgather_workspace"]


def test_names_for_the_shell_are_quoted_and_dashes_explained(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("ws", "init", "--name", "W")
    assert "next:  cd 'my dir/n' && fgc train\n" in run("ws", "project", "--name", "N", "my dir/n").out
    assert "next:  cd ./-n && fgc train\n" in run("ws", "project", "--name", "N", "--", "-n").out
    with pytest.raises(SystemExit, match="2"):
        run("ws", "project", "--name", "-x")
    assert "begins with a dash is written `--name=-VALUE`" in capsys.readouterr().err


def test_devices_that_are_not_there_are_said(run: Run, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgc.cli.devices.count_devices", lambda: 2)
    for devices, text in (("9", "there is no device 9 here: the devices are 0, 1"), ("0,0", "twice"), ("gpu", "0,1")):
        result = run("-p", "p", "train", "-d", devices)
        assert result.code == 2 and text in result.err


@pytest.mark.usefixtures("small")
def test_listings_fit_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("p/templates/long.yaml", "-- include 'large_part.yaml'\n")
    write("p/templates/large_part.yaml", "x: 1\n")
    write(
        "p/templates/configs/small.yaml", "a_target: !call:collections:OrderedDict []\n-- include 'large_part.yaml'\n"
    )
    monkeypatch.setenv("COLUMNS", "40")
    for words in (("tlist", "--own"), ("trefs",), ("targets",), ("ls",)):
        lines = run("-p", "p", *words).out.splitlines()
        assert lines and max(map(len, lines)) <= 48, words  # a name is never broken


@pytest.mark.usefixtures("small")
def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import pexpect

    for words in (["ls", "p"], ["-p", "p", "targets"]):
        for setting, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
            shown = pexpect.run(" ".join([*_FGC, *words]), env={**environment, **setting}, encoding="utf-8")
            assert ("\x1b[" in shown) is is_coloured, words
            assert "\x1b[m" not in shown


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("settings", "is_coloured"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "0"}, False)]
)
def test_a_pipe_gets_colours_if_they_are_forced(settings: dict[str, str], is_coloured: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | settings
    shown = subprocess.run([*_FGC, "-p", "p", "targets"], env=environment, capture_output=True, text=True).stdout
    assert shown and ("\x1b[" in shown) is is_coloured


@pytest.mark.usefixtures("small")
def test_every_listing_is_json_too(run: Run) -> None:
    write("p/output/checkpoints/checkpoint-5/trainer_state.json", '{"loss": 1.5}')
    lines = [
        ("ls", "p"),
        ("ls", "-r"),
        ("-p", "p", "index"),
        ("-p", "p", "meta"),
        ("-p", "p", "tlist"),
        ("-p", "p", "trefs"),
        ("-p", "p", "targets"),
        ("-p", "p", "graph"),
        ("-p", "p", "check"),
        ("explain",),
        ("checkpoint", "--folder", "p/output", "list"),
        ("checkpoint", "--folder", "p/output", "show"),
    ]
    for line in lines:
        assert json.loads(run(*line, "--format", "json").out), line
    index = json.loads(run("-p", "p", "index", "--format", "json").out)
    assert [item["file"] for item in index["configurations"]] == ["large.yaml", "small.yaml"]
    assert {item["name"] for item in index["templates"]} == {"configs/large.yaml", "configs/small.yaml"}
    shown = json.loads(run("checkpoint", "--folder", "p/output", "show", "--format", "json").out)
    assert (shown["step"], shown["state"]) == (5, {"loss": 1.5})
