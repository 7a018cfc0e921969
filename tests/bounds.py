"""Prints constraints that install every dependency at its lower bound: `python tests/bounds.py > lowest.txt`."""

import re
import tomllib
from pathlib import Path

_BOUND = re.compile(r"(?P<name>[\w.-]+)(\[[^]]*\])?>=(?P<version>[\w.]+)")
_TOOLS = ("dev", "all")  # what tests the package is no part of it


def lowest() -> list[str]:
    """Returns `name==version` for what users install."""
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(item for name in extras if name not in _TOOLS for item in extras[name])]
    found = {match["name"]: match["version"] for item in wanted if (match := _BOUND.match(item))}
    return [f"{name}=={version}" for name, version in sorted(found.items(), key=lambda pair: pair[0].lower())]


if __name__ == "__main__":
    print("\n".join(lowest()))
