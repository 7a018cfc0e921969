"""A headless Chromium that a test drives through its debugging pipe."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


class Browser:
    """One page; `requests` are the addresses that it asked, `errors` what its scripts raised."""

    def __init__(self, profile: Path) -> None:
        from_us, to_chromium = os.pipe()
        from_chromium, to_us = os.pipe()
        options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --remote-debugging-pipe"
        command = f'exec "$0" {options} --user-data-dir="$1" about:blank 3<&{from_us} 4>&{to_us}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, CHROMIUM, str(profile)],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        self._to, self._from = to_chromium, os.fdopen(from_chromium, "rb")
        self._num_sent = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self._send(f"{domain}.enable")

    def open(self, url: str) -> None:
        self._send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What a script's expression gives, as JSON."""
        answer = self._send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until an expression is true."""
        for _ in range(2400):
            if self.value(expression):
                return
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression}")

    def press(self, *keys: str) -> None:
        """Presses keys by their names, one after the other."""
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                self._send("Input.dispatchKeyEvent", type=kind, key=key, code=key, text="\r" if key == "Enter" else "")

    def resize(self, width: int, height: int) -> None:
        """Makes the window that of another device."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)

    def close(self) -> None:
        os.close(self._to)
        self._process.terminate()
        self._process.wait(120)
        self._from.close()

    def _send(self, method: str, **parameters: object) -> dict[str, Any]:
        self._num_sent += 1
        message: dict[str, object] = {"id": self._num_sent, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = json.loads(self._read())
            if told.get("method") == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            if told.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(told["params"]["exceptionDetails"]))
            if told.get("id") == self._num_sent:
                assert "error" not in told, told["error"]
                return dict(told["result"])

    def _read(self) -> bytes:
        message = b""
        while (letter := self._from.read(1)) != b"\0":
            assert letter, "the browser has ended"
            message += letter
        return message
