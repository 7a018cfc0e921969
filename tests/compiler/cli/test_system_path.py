"""What a project's `system_path` holds lies beside the program: it runs wherever the build lies."""

import shutil
import subprocess
import sys
from pathlib import Path

from .conftest import Run

HELPER = "import json\nimport own\n\n\ndef made(x: int) -> str:\n    print(own.NAME, x)\n    return json.dumps(x)\n"


def project(folder: Path) -> None:
    (folder / "templates/configs").mkdir(parents=True)
    (folder.parent / "forgather_workspace").mkdir(exist_ok=True)
    (folder / "meta.yaml").write_text("name: P\nsystem_path: lib\n")
    (folder / "templates/configs/a.yaml").write_text("main: !singleton:helper:made { x: 1 }\n")
    (folder / "lib/own").mkdir(parents=True)
    (folder / "lib/helper.py").write_text(HELPER)
    (folder / "lib/json.py").write_text("raise RuntimeError('the standard library comes first')\n")
    (folder / "lib/own/__init__.py").write_text("from own.deep import NAME\n")
    (folder / "lib/own/deep.py").write_text("NAME = 'deep'\n")
    (folder / "lib/unused.py").write_text("")


def test_modules_of_the_system_path_are_part_of_a_build(run: Run, tmp_path: Path) -> None:
    project(Path("p"))
    assert run("-p", "p", "build", "-o", "p/out").code == 0
    assert {path.name for path in Path("p/out").iterdir()} >= {"helper.py", "own", "train.py"}
    assert not Path("p/out/unused.py").exists() and not Path("p/out/json.py").exists()
    shutil.copytree("p/out", tmp_path / "elsewhere")
    words = [sys.executable, str(tmp_path / "elsewhere/train.py")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "deep 1\n"
    assert run("check", "--generated", "p/out").code == 0
    Path("p/lib/own/deep.py").write_text("NAME = 'other'\n")
    assert run("check", "--generated", "p/out").code == 1


def test_calls_of_modules_of_the_system_path_are_checked(run: Run) -> None:
    project(Path("p"))
    config = Path("p/templates/configs/a.yaml")
    result = run("-p", "p", "check", "--report-unchecked")
    assert result.code == 0 and "helper" not in result.out + result.err
    config.write_text("main: !singleton:helper:made { y: 1 }\n")
    result = run("-p", "p", "check")
    assert result.code == 1 and "`y`" in result.out + result.err
    config.write_text("main: !singleton:own.deep:NAME_OF_NOTHING []\n")
    assert "has no attribute `NAME_OF_NOTHING`" in (result := run("-p", "p", "check")).out + result.err
    Path("p/lib/own/deep.py").write_text("def NAME_OF_NOTHING(): ...\n")
    assert run("-p", "p", "check").code == 0


def test_a_module_with_the_name_of_a_built_file_is_refused(run: Run) -> None:
    project(Path("p"))
    Path("p/lib/helper.py").write_text("import train\n" + HELPER)
    Path("p/lib/train.py").write_text("")
    result = run("-p", "p", "build", "-o", "p/out")
    assert result.code == 2
    assert "train.py` has the name of a file that the build writes" in result.err


def test_the_printed_command_works_where_it_is_printed(run: Run) -> None:
    project(Path("my project"))
    lines = run("-p", "my project", "build", "-o", "my project/out").out.splitlines()
    command = lines[-1].removeprefix("run it:  ").replace("python", sys.executable, 1)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "deep 1\n"
    assert "cd 'my project' && " in command
