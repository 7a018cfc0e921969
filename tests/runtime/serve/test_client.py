"""`fgc inf client` against a real server: once, through pipes, and as a chat on a terminal."""

import io
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
from typing import Any

import pexpect
import pytest
from fgc_runtime.client.api import Api, ApiError
from fgc_runtime.client.arguments import parse
from fgc_runtime.client.chat import Chat
from fgc_runtime.client.conversation import Conversation
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
    beside = ask(server.url, *words, "--message", "Hello", "--file", "-", stdin="dog").stdout
    assert beside == ask(server.url, *words, "--message", "Hello\n\ndog").stdout
    piped = ask(server.url, *words, "--completion", "-", stdin="Once upon")
    assert piped.stdout == ask(server.url, *words, "--completion", "Once upon").stdout
    nothing = ask(server.url)
    assert nothing.returncode == 2 and "nothing to ask" in nothing.stderr


def test_files_follow_a_question_under_their_names(tmp_path: Path) -> None:
    names = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in names:
        path.write_text(f"in {path.stem}")
    words = [word for path in names for word in ("--file", str(path))]
    with spoken_to() as (url, bodies):
        ask(url, "--message", "Which?", *words)
        ask(url, *words, stdin="Which?")
    assert [body["messages"] for body in bodies] == [
        [{"role": "user", "content": "Which?\n\na.txt:\nin a\n\nb.txt:\nin b"}]
    ] * 2
    assert "cannot be read" in ask(url, "--file", str(tmp_path / "none")).stderr
    assert "goes with --message" in ask(url, "--completion", "a", *words).stderr


def test_a_file_may_be_a_pipe_that_is_read_once() -> None:
    end, begin = os.pipe()
    with os.fdopen(begin, "w") as pipe:
        pipe.write("a diff")
    try:
        assert parse(["--message", "Right?", "--file", f"/dev/fd/{end}"]).texts == (f"{end}:\na diff",)
    finally:
        os.close(end)


def test_standard_input_is_left_alone_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the lines of `while read line; do fgc inf client --message "$line"; done`."""
    monkeypatch.setattr("sys.stdin", io.StringIO("more"))
    assert parse(["--message", "Right?"]).texts == () and sys.stdin.read() == "more"
    monkeypatch.setattr("sys.stdin", io.StringIO("more"))
    assert parse(["--message", "Right?", "--file", "-"]).texts == ("more",)
    with pytest.raises(SystemExit):
        parse(["--message", "-", "--file", "-"])


def test_only_settings_that_there_are_can_be_set() -> None:
    conversation = Conversation()
    assert "did you mean `temperature`?" in conversation.command("/set temprature 0")
    assert "there are max_tokens," in conversation.command("/set model other")
    assert conversation.fields == {}
    assert conversation.command("/set temperature 0") == "temperature 0" and conversation.fields == {"temperature": 0}


def test_a_chat_that_is_too_long_loses_its_oldest_questions(capsys: pytest.CaptureFixture[str]) -> None:
    conversation = Conversation("Be.", [{"role": role, "content": role} for role in ("user", "assistant") * 2])
    conversation.ask("last")
    with spoken_to(max_messages=3) as (url, bodies), Api(url, api_key=None, timeout_s=10) as api:
        assert Chat(api, "m", shows_usage=False).answer(conversation)
    assert [len(body["messages"]) for body in bodies] == [6, 4, 2]
    assert [message["content"] for message in conversation.messages] == ["last", "Yes."]
    assert "its 2 oldest questions are left out" in capsys.readouterr().err


def test_a_question_that_is_too_long_alone_leaves_the_chat_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    before = [{"role": role, "content": role} for role in ("user", "assistant") * 2]
    conversation = Conversation(None, list(before))
    conversation.ask("much too long")
    too_long = pytest.raises(ApiError, match="the question alone is too long, the chat stays as it was")
    with spoken_to(max_messages=0) as (url, bodies), Api(url, api_key=None, timeout_s=10) as api, too_long:
        Chat(api, "m", shows_usage=False).answer(conversation)
    assert len(bodies) == 3 and conversation.messages == before
    assert "left out" not in capsys.readouterr().err


@contextmanager
def spoken_to(max_messages: int = 9) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that says yes to chats that are short enough; the bodies of what it was asked."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, {"data": [{"id": "m"}]})

        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if len(bodies[-1]["messages"]) > max_messages:
                self.answer(400, {"error": {"message": "too long", "code": "context_length_exceeded"}})
            else:
                self.answer(200, {"choices": [{"message": {"content": "Yes.", "reasoning_content": "Hm."}}]})

        def answer(self, status: int, value: dict[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
            ("/set", "max_tokens 6"),
            ("/set top_k 1", "top_k 1"),
            ("/retry", "> "),
            (f"/save {tmp_path / 'again.json'}", "wrote 3 messages"),
            ("/set top_k -", "as usual"),
            ("/system -", "is removed"),
            (f"/load {tmp_path / 'one.json'}", "read 3 messages"),
            (f"/load {tmp_path}", "cannot be read"),
            ("/system", "Be brief."),
            ("/system -", "is removed"),
            ("/clear", "started a new chat"),
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


def test_ctrl_c_ends_a_single_question() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = [*_COMMAND, "--url", url, "--message", "x"]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process, silent.accept()[0] as connection:
            try:
                assert connection.recv(1)  # it has asked, and waits for the answer
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
            finally:
                process.kill()
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
