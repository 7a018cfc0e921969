"""`fgc inf client` against a real server: once, through pipes, and as a chat on a terminal."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pexpect
import pytest
from fgc_runtime.terminal import visible

from tests.runtime.serve.conftest import RunningServer

_COMMAND = [sys.executable, "-m", "fgc_runtime.client"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories of their own, no settings of the user, a terminal that answers no questions."""
    for name in ("FGC_URL", "FGC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("TERM", "dumb")


def ask(url: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [*_COMMAND, "--url", url, *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_one_message_is_what_the_api_answers(server: RunningServer) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello dog"}]
    with server.client() as client:
        answer = client.chat.completions.create(model="tiny", messages=asked, max_tokens=12, temperature=0, seed=1)  # type: ignore[arg-type]
    words = (
        "--message",
        "Hello dog",
        "--system",
        "Be brief.",
        "--max-tokens",
        "12",
        "--temperature",
        "0",
        "--seed",
        "1",
    )
    for more in ((), ("--no-stream",)):
        done = ask(server.url, *words, *more)
        assert (done.returncode, done.stdout, done.stderr) == (0, visible(f"{answer.choices[0].message.content}\n"), "")


def test_a_text_goes_on_behind_its_echo_until_a_stop(server: RunningServer) -> None:
    words = ("--completion", "Once upon", "--temperature", "0", "--max-tokens", "8")
    plain, echoed = ask(f"{server.url}/v1/", *words), ask(server.url, *words, "--echo")
    assert echoed.stdout == f"Once upon{plain.stdout}"
    middle = plain.stdout[2:4]
    assert ask(server.url, *words, "--stop", middle).stdout == plain.stdout.partition(middle)[0] + "\n"


def test_a_pipe_is_one_message_or_the_text_to_go_on_with(server: RunningServer) -> None:
    words = ("--temperature", "0", "--max-tokens", "5")
    assert (
        ask(server.url, *words, stdin="Hello\ndog").stdout == ask(server.url, *words, "--message", "Hello\ndog").stdout
    )
    piped = ask(server.url, *words, "--completion", "-", stdin="Once upon")
    assert piped.stdout == ask(server.url, *words, "--completion", "Once upon").stdout
    nothing = ask(server.url)
    assert nothing.returncode == 2 and "nothing to ask" in nothing.stderr


def test_usage_counts_tokens(server: RunningServer) -> None:
    done = ask(server.url, "--completion", "Once", "--max-tokens", "7", "--ignore-eos", "--show-usage")
    assert "7 generated in" in done.stderr and "tokens/s" in done.stderr


def test_health_and_models(server: RunningServer) -> None:
    assert ask(server.url, "--health").stdout == "ok\n"
    assert ask(server.url, "--list-models").stdout == "tiny\n"


def test_what_is_wrong_is_said_with_what_to_do(server: RunningServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cases = [
        (f"http://127.0.0.1:{port}", ("--message", "x"), 2, "start one with `fgc serve DIR`"),
        ("ftp://x", ("--message", "x"), 2, "is no address"),
        (server.url, ("--message", "x", "--model", "large"), 1, "has no model `large`; it serves: tiny"),
        (server.url, ("--message", "x", "--temperature", "9"), 1, "temperature"),
        (f"{server.url}/nowhere", ("--list-models",), 1, "nowhere"),
        (server.url, ("--message", "x", "--echo"), 2, "--completion"),
        (server.url, ("--temperature", "warm"), 2, "warm"),
        (server.url, ("--timeout", "0"), 2, "seconds above 0"),
    ]
    for url, words, code, text in cases:
        done = ask(url, *words)
        assert done.returncode == code and text in done.stderr and "Traceback" not in done.stderr, words


@contextmanager
def pretender(status: int, body: bytes) -> Iterator[str]:
    """A server that answers everything alike, and a list of models if its body is a stream."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            is_list = self.path.endswith("/models") and body.startswith(b"data:")
            content = b'{"data": [{"id": "m"}]}' if is_list else body
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (401, b'{"error": {"message": "no"}}', "give --api-key KEY, or set FGC_API_KEY"),
        (404, b"<html>", "is no OpenAI API: it answers 404"),
        (200, b"<html>hello", "is it an OpenAI API?"),
        (503, b'{"error": {"message": "shutting down"}}', "shutting down"),
        (
            200,
            b'data: {"choices": [{"text": "a"}]}\n\ndata: {"error": {"message": "out of memory"}}\n\n',
            "out of memory",
        ),
        (200, b'data: {"choices": [{"text": "a"}]}\n\n', "broke off"),
    ],
)
def test_answers_that_are_none(status: int, body: bytes, text: str) -> None:
    with pretender(status, body) as url:
        done = ask(url, "--completion", "x")
    assert done.returncode == 1 and text in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ("a\n" if body.startswith(b"data:") else "")


def test_an_answer_does_not_command_the_terminal() -> None:
    event = json.dumps({"choices": [{"text": "\x1b[2Ja\rb\n"}]}).encode()
    with pretender(200, b"data: " + event + b"\n\ndata: [DONE]\n\n") as url:
        assert ask(url, "--completion", "x").stdout == "\\x1b[2Ja\\rb\n"
    with pretender(503, json.dumps({"error": {"message": "\x1b]0;title\x07"}}).encode()) as url:
        assert "\x1b" not in ask(url, "--list-models").stderr


def spawn(*words: str) -> "pexpect.spawn[str]":
    return pexpect.spawn(_COMMAND[0], [*_COMMAND[1:], *words], encoding="utf-8", timeout=30, dimensions=(40, 200))


@contextmanager
def terminal(*words: str) -> Iterator["pexpect.spawn[str]"]:
    child = spawn(*words)
    try:
        yield child
    finally:
        child.close(force=True)


def test_a_chat_remembers_and_obeys_commands(server: RunningServer, tmp_path: Path) -> None:
    with terminal("--url", server.url, "--max-tokens", "6", "--temperature", "0", "--system", "Be brief.") as chat:
        chat.expect("Chat with tiny")
        chat.sendline("Hello dog")
        chat.expect("\n.*\n")
        for line, answer in (
            ("/help", "/system"),
            ("/nope", "no command `/nope`"),
            (f"/save {tmp_path / 'one.json'}", "wrote 3 messages"),
            ("/retry", "> "),
            (f"/save {tmp_path / 'again.json'}", "wrote 3 messages"),
            ("/system -", "is removed"),
            ("/clear", "begins anew"),
            ("/retry", "nothing was asked"),
            (f"/save {tmp_path / 'none.json'}", "wrote 0 messages"),
        ):
            chat.sendline(line)
            chat.expect(answer)
        chat.expect("> ")
        time.sleep(0.2)  # the terminal is the prompt's again
        chat.sendcontrol("d")
        chat.expect(pexpect.EOF)
    assert chat.exitstatus == 0
    saved = json.loads((tmp_path / "one.json").read_text())
    assert [message["role"] for message in saved] == ["system", "user", "assistant"]
    assert saved == json.loads((tmp_path / "again.json").read_text()), "greedy: the same answer again"
    history = tmp_path / "state/fgc/chat_history"
    assert "Hello dog" in history.read_text() and history.stat().st_mode & 0o077 == 0


def test_ctrl_c_stops_an_answer_and_not_the_client(server: RunningServer) -> None:
    with terminal("--url", server.url, "--max-tokens", "200", "--ignore-eos") as chat:
        chat.expect("Chat with tiny")
        chat.sendline("Once upon a time")
        time.sleep(0.3)
        chat.sendintr()
        chat.sendintr()  # on an empty line: nothing
        chat.sendline("/system")
        chat.expect("there is no system message")
        chat.sendline("/quit")
        chat.expect(pexpect.EOF)
    assert chat.exitstatus == 0


def test_ctrl_c_ends_a_single_question(server: RunningServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen([*_COMMAND, "--url", url, "--message", "x"], stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        connection.close()
    assert process.returncode == 130 and "Traceback" not in said


def test_a_server_that_goes_away_does_not_end_the_chat() -> None:
    with pretender(200, b'data: {"choices": [{"text": "yes"}]}\n\ndata: [DONE]\n\n') as url:
        chat = spawn("--url", url)
        chat.expect("Chat with m at")
        chat.sendline("Are you there?")
        chat.expect("yes")
    chat.sendline("And now?")
    chat.expect("fgc inf client: ")
    chat.sendline("/quit")
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0


def test_the_command_becomes_the_client(server: RunningServer) -> None:
    fgc = [sys.executable, "-m", "fgc", "inf", "client", "--url", server.url, "--list-models"]
    assert subprocess.run(fgc, capture_output=True, text=True, check=True, env=os.environ).stdout == "tiny\n"
