"""The number of a process to a name that no other one gets."""

import socket
from pathlib import Path
from typing import Any


def process_identity(pid: int) -> dict[str, Any]:
    """Returns host, number and the time of its start, in the kernel's ticks; None where the kernel does not say."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = None
    return {"host": socket.gethostname(), "pid": pid, "started": started}
