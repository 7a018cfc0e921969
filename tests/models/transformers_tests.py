"""Makes transformers' own tests of models importable: they are part of its source distribution, not of its wheel.

python tests/models/transformers_tests.py FOLDER     download those of the installed version into a folder
"""

import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

NAME = "tests_of_transformers"
# what the distribution leaves out: tests of generation and of exporters, which mix themselves into those of models
_ABSENT = {"exporters/test_export.py": "ExportTesterMixin", "generation/test_utils.py": "GenerationTesterMixin"}


def download(folder: Path) -> None:
    """Put the tests of the installed transformers into a package below a folder. Raises CalledProcessError."""
    package = folder / NAME
    release = version("transformers")
    with tempfile.TemporaryDirectory() as scratch:
        plain = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
        command = [sys.executable, "-m", "pip", "download", *plain, "--dest", scratch, f"transformers=={release}"]
        subprocess.run(command, check=True)
        (archive,) = Path(scratch).glob("*.tar.gz")
        package.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as found:
            for member in found.getmembers():
                path = Path(member.name)
                if path.parts[1:-1] == ("tests",) and path.suffix == ".py":
                    file = found.extractfile(member)
                    assert file is not None, f"{member.name} is a file"
                    (package / path.name).write_bytes(file.read())
        tools = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(folder), "parameterized"]
        subprocess.run([sys.executable, "-m", "pip", "install", *tools], check=True)
    for name, mixin in _ABSENT.items():
        path = package / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"class {mixin}:\n    pass\n", encoding="utf-8")


if __name__ == "__main__":
    download(Path(sys.argv[1]))
