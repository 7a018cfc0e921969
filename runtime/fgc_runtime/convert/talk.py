"""The compiler's side of a conversion, from here: it builds the package that the weights go into.

Messages are lines of JSON. The compiler's come on standard input, and go to it on a descriptor of its own, so that
standard output stays free for the user.
"""

import json
import os
import sys
from typing import Any


class Compiler:
    """The process that started this one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def receive(self) -> dict[str, Any]:
        """The next message; SystemExit if the compiler is gone."""
        line = sys.stdin.readline()
        if not line:
            raise SystemExit(1)
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message and wait for the answer."""
        os.write(self._descriptor, (json.dumps(message) + "\n").encode())
        return self.receive()
