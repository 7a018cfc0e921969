"""Draws what a first check and a build look like on a terminal, from their real output: `docs/guide/terminal.svg`.

    python docs/site/picture.py

Run it when a test says that the picture is not what the commands print.
"""

import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/guide/terminal.svg"
EXAMPLES = ROOT / "examples"
CONFIGURATION = "templates/configs/tiny_llama.yaml"
COLUMNS = 100
_FONT_FACES = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # a picture asks no other host for anything


def picture() -> str:
    """Returns the picture as SVG."""
    console = Console(
        record=True,
        file=StringIO(),
        width=COLUMNS,
        height=100,
        force_terminal=True,
        color_system="truecolor",
        _environ={},
    )
    with TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copytree(EXAMPLES / "forgather_workspace", work / "forgather_workspace")
        shutil.copytree(EXAMPLES / "tutorials/tiny_llama", work / "tiny_llama", ignore=shutil.ignore_patterns("out*"))
        project = work / "tiny_llama"
        right = (project / CONFIGURATION).read_text(encoding="utf-8")
        (project / CONFIGURATION).write_text(right.replace("[optimizer]", "[optimzer]"), encoding="utf-8")
        _show(console, project, "fgc check", code=1)
        command = f"sed -i s/optimzer/optimizer/ {CONFIGURATION}"
        (project / CONFIGURATION).write_text(right, encoding="utf-8")
        console.print(_prompt(command))
        _show(console, project, "fgc check")
        _show(console, project, "fgc build -o out")
        console.print(_prompt("grep AdamW out/train.py"))
        program = (project / "out/train.py").read_text(encoding="utf-8").splitlines()
        console.print("\n".join(line for line in program if "AdamW" in line) + "\n", highlight=False, markup=False)
    return _FONT_FACES.sub("", console.export_svg(title="fgc", unique_id="fgc"))


def _show(console: Console, project: Path, command: str, *, code: int = 0) -> None:
    """Prints a command and what it prints. Raises RuntimeError for another exit code."""
    environment = os.environ | {"FORCE_COLOR": "1", "NO_COLOR": "", "COLUMNS": str(COLUMNS)}
    words = [sys.executable, "-m", "fgc", *command.split()[1:]]
    ran = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)
    if ran.returncode != code:
        raise RuntimeError(f"{command} ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
    shown = (ran.stderr + ran.stdout).replace(str(ROOT / "stdlib"), "...")
    console.print(_prompt(command))
    console.print(Text.from_ansi(shown.rstrip()), highlight=False)


def _prompt(command: str) -> Text:
    return Text.assemble(("$ ", "green"), (command, "bold"))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
