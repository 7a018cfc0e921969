"""Runs on a host that SSH reaches: starts what the first line of its input says, and ends it with the connection.

Needs Python alone. The first line is JSON: `command`, `folder`, `environment`, `probe` (a file and what it must hold).
Each further line is a signal's number for the command; the end of the input is SIGTERM. What the command prints goes
out as it comes; the exit code is the command's.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

NOT_SHARED, NO_FOLDER, NO_COMMAND = 91, 92, 93
READY = "fgc-node-ready"
_PATIENCE_S = 15.0  # network disks show files late


def main() -> int:
    task = json.loads(sys.stdin.readline())
    try:
        os.chdir(pathlib.Path(task["folder"]).expanduser())
    except OSError as error:
        print(error.strerror, flush=True)
        return NO_FOLDER
    if task.get("probe") and not _sees(*task["probe"]):
        return NOT_SHARED
    print(READY, flush=True)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    environment = dict(os.environ, **task["environment"])
    try:
        process = subprocess.Popen(
            task["command"], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        print(f"{task['command'][0]}: {error.strerror}", flush=True)
        return NO_COMMAND
    threading.Thread(target=_pass_on, args=(process,), daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


def _sees(path: str, content: str) -> bool:
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), pathlib.Path(path).open() as file:
            if file.read() == content:
                return True
        time.sleep(0.2)
    return False


def _pass_on(process: "subprocess.Popen[bytes]") -> None:
    for line in sys.stdin:
        _send(process, int(line))
    _send(process, signal.SIGTERM)
    try:
        process.wait(600)  # to save
    except subprocess.TimeoutExpired:
        _send(process, signal.SIGKILL)


def _send(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(OSError):
        process.send_signal(number)


if __name__ == "__main__":
    sys.exit(main())
