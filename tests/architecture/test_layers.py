"""The layers of architecture.md hold, and nothing is imported that a layer must not know."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_import_roots_are_not_imported_as_packages() -> None:
    """`import compiler.fgc` would make a second copy of every class."""
    for folder in ("compiler", "runtime", "modelsrc", "stdlib", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for root in ("compiler", "runtime", "modelsrc", "stdlib"):
                assert f"\nfrom {root}." not in text and f"\nimport {root}." not in text, path
