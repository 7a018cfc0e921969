"""The world's answers to what templates may ask.

`SOURCE_DATE_EPOCH` (seconds) and `TZ` fix the clock, `FGC_HOSTNAME` the host, `FGC_VERSIONS`
(`python=3.11.0,torch=2.9`) the versions: with them, `pp` prints the same text everywhere.
"""

import errno
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from fgc.installed import home_folder, installed_version
from fgc.resolve import Facts
from fgc.workspace.library import base_folder

PACKAGES = ("torch", "transformers", "accelerate")


class _Versions(Mapping[str, str]):
    """Versions of Python and of packages, looked up when asked for: each look-up reads the disk."""

    def __iter__(self) -> Iterator[str]:
        yield "python"
        yield from (name for name in PACKAGES if installed_version(name) is not None)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, name: str) -> str:
        version = platform.python_version() if name == "python" else installed_version(name)
        if version is None:
            raise KeyError(name)
        return version


def collect_facts(project: Path, workspace: Path | None) -> Facts:
    """Facts for a project's templates, from this machine and the documented environment variables."""
    seconds = _seconds()
    hostname = os.environ.get("FGC_HOSTNAME") or platform.node()
    folders = {"project_dir": str(project)}
    if workspace is not None:
        folders["workspace_root"] = str(workspace)
    uname = platform.uname()
    return Facts(
        now=datetime(*time.localtime(seconds)[:6]),
        utcnow=datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None),
        hostname=hostname,
        environment=os.environ,
        uname=(uname.system, hostname, uname.release, uname.version, uname.machine),
        versions=_fixed_versions() or _Versions(),
        folders=folders,
        folder_functions=_folder_functions(),
    )


def _seconds() -> float:
    """The time of the build, in seconds since 1970. Raises OSError where the variable for it says no time."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    if not told:
        return time.time()
    try:
        seconds = float(told)
        datetime(*time.localtime(seconds)[:6])
    except (ValueError, OverflowError, OSError):
        name = f"SOURCE_DATE_EPOCH={told}"
        raise OSError(errno.EINVAL, "is not a time: use seconds since 1970", name) from None
    return seconds


def _fixed_versions() -> dict[str, str]:
    pairs = (item.split("=", 1) for item in os.environ.get("FGC_VERSIONS", "").split(",") if "=" in item)
    return {name.strip(): version.strip() for name, version in pairs}


def _folder_functions() -> dict[str, Callable[..., str]]:
    home = home_folder()
    data, config = base_folder("DATA", ".local/share"), base_folder("CONFIG", ".config")
    cache = base_folder("CACHE", ".cache")

    def below(base: Path) -> Callable[..., str]:
        return lambda name="", author="", *rest: str(base / name) if name else str(base)

    return {
        "user_home_dir": lambda: str(home),
        "getcwd": os.getcwd,
        "forgather_config_dir": lambda: str(config / "forgather"),
        "user_data_dir": below(data),
        "user_cache_dir": below(cache),
        "user_config_dir": below(config),
        "site_data_dir": below(Path("/usr/local/share")),
        "site_config_dir": below(Path("/etc/xdg")),
    }
