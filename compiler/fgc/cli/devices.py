"""The devices that a command line names, as CUDA is told of them; asks the system and loads no torch."""

import re
import shutil
import subprocess
from pathlib import Path

from fgc.cli.arguments import CannotRun


def visible_devices(named: str, *, must_exist: bool = True) -> str:
    """Returns the value of CUDA_VISIBLE_DEVICES. Raises CannotRun for a device that does not exist."""
    if named == "cpu":
        return ""
    words = [word.strip() for word in named.split(",")]
    if len(set(words)) < len(words):
        raise CannotRun(f"`-d {named}` names a device twice")
    count: int | None = None
    for word in words:
        if re.fullmatch(r"(GPU|MIG)-[\w/-]+", word):
            continue  # a device by its serial number: CUDA knows it, or says so
        if not (word.isascii() and word.isdigit()):
            raise CannotRun(f"`-d {named}`: write device numbers such as `0,1`, or `cpu`")
        if not must_exist:
            continue
        count = count_devices() if count is None else count
        if int(word) >= count:
            known = "there are none" if count == 0 else f"the devices are {', '.join(map(str, range(count)))}"
            raise CannotRun(f"there is no device {word} here: {known}; `-d cpu` trains on the CPU")
    return ",".join(words)


def count_devices() -> int:
    """Returns how many GPUs of NVIDIA this machine has."""
    program = shutil.which("nvidia-smi")
    if program is not None:
        try:
            listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
            return len(re.findall(r"(?m)^GPU \d+:", listed))
        except (OSError, subprocess.SubprocessError):
            pass
    return len([path for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit()])
