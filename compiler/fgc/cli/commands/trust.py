"""Allow the Python code in a model's folder to run, after you have read it.

Commands that open a model run the code in its folder only if fgc generated it on this machine, or if this command has
allowed it. Files are identified by their content: a changed file is unknown again. `--forget` revokes the permission.
"""

import hashlib
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

EXAMPLES = (
    "fgc trust ~/models/from_a_colleague",
    "fgc trust --forget ~/models/from_a_colleague",
)
USES_A_PROJECT = False
_LARGEST_BYTES = 4_000_000


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc trust`."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="model folder, or generated model package")
    parser.add_argument("--forget", action="store_true", help="no longer allow its code to run")


def run(arguments: Namespace) -> int:
    """Remember the files, or forget them; 2 if there are none."""
    from fgc.builds.trust import record_code, record_folder
    from fgc.reading import read_bytes

    folder: Path = arguments.folder
    if not folder.is_dir():
        return _cannot(f"`{folder}` is not a folder: give the folder of a model")
    patterns = ("*.py", "custom_generate/*.py")
    files = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
    if not files:
        return _cannot(f"`{folder}` has no Python files: nothing in it would run")
    large = [path for path in files if path.stat().st_size > _LARGEST_BYTES]
    if large:
        return _cannot(f"`{large[0]}` has more than {_LARGEST_BYTES} bytes: it is not the code of a model")
    records = record_folder()
    contents = [read_bytes(path) for path in files]
    if arguments.forget:
        for content in contents:
            (records / hashlib.sha256(content).hexdigest()).unlink(missing_ok=True)
    else:
        record_code(contents)
    said = "forgotten" if arguments.forget else "trusted"
    for path in files:
        print(f"{said}: {path}")
    return 0


def _cannot(reason: str) -> int:
    print(f"fgc: {reason}", file=sys.stderr)
    return 2
