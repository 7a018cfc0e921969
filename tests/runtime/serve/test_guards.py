"""Who may ask, and what is noted of those that do: the layers around the service, without a model."""

import asyncio
import logging

import httpx
import pytest
from fgc_runtime.serve.guards import HostGuard, KeyGuard, is_loopback
from fgc_runtime.serve.metrics import Counters
from fgc_runtime.serve.trace import Tracing
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp


def ask(app: ASGIApp, path: str = "/v1/models", **headers: str) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(Tracing(app, Counters(), lambda _: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            return await client.get(path, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return asyncio.run(get())


def guarded(*hosts: str, origins: tuple[str, ...] = ()) -> ASGIApp:
    return HostGuard(PlainTextResponse("ok"), hosts, origins)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "localhost.", "me.localhost:1", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "box"],
)
def test_names_of_this_machine_pass(host: str) -> None:
    assert ask(guarded("box"), Host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["other.example", "localhost.example:8000", "127.0.0.1.nip.io", "notlocalhost", "localhost@other.example", "[::1"],
)
def test_names_that_lead_here_do_not_pass(host: str) -> None:
    response = ask(guarded(), Host=host)
    code = response.json()["error"]["code"] if response.status_code == 403 else None
    assert code == "host_not_allowed" or host.startswith("localhost@")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8000", 200),
        ("https://chat.example", 200),
        ("http://chat.example", 403),
        ("http://other.example", 403),
        ("http://192.0.2.7", 403),
        ("http://localhost.other.example", 403),
        ("chrome-extension://abc", 403),
        ("null", 403),
    ],
)
def test_pages_of_other_sites_do_not_pass(origin: str, status: int) -> None:
    assert ask(guarded(origins=("https://chat.example/",)), Origin=origin).status_code == status


def test_all_pages_pass_if_all_are_allowed() -> None:
    assert ask(guarded(origins=("*",)), Origin="http://other.example").status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("box", False)],
)
def test_a_server_is_local_by_its_address(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("brought", "status"),
    [
        ("Bearer secret", 200),
        ("bearer secret", 200),
        ("BEARER  secret", 200),
        ("Bearer Secret", 401),
        ("Basic secret", 401),
        ("secret", 401),
        ("Bearer", 401),
        ("Bearer secret more", 401),
    ],
)
def test_a_key_is_exact_and_its_scheme_is_in_any_case(brought: str, status: int) -> None:
    assert ask(KeyGuard(PlainTextResponse("ok"), "secret"), Authorization=brought).status_code == status


def test_health_and_readiness_need_no_key() -> None:
    app = KeyGuard(PlainTextResponse("ok"), "secret")
    assert [ask(app, path).status_code for path in ("/health", "/ready", "/metrics")] == [200, 200, 401]


def test_an_answer_has_the_identity_of_its_request_or_a_new_one() -> None:
    app = PlainTextResponse("ok")
    assert ask(app, X_Request_Id="mine-1").headers["x-request-id"] == "mine-1"
    made = [ask(app, X_Request_Id=brought).headers["x-request-id"] for brought in ("", "a b", "x" * 129)]
    assert len(set(made)) == 3 and all(len(each) == 32 for each in made)
    assert ask(guarded(), Host="other.example", X_Request_Id="mine-2").headers["x-request-id"] == "mine-2"


def test_a_request_is_a_line_with_the_reason_of_its_refusal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fgc_runtime.serve.trace"):
        ask(guarded(), "/v1/%1b[2J", Host="other.example", X_Request_Id="mine")
    (line,) = caplog.messages
    assert line.startswith(r"GET /v1/\x1b[2J 403; ") and line.endswith("; host_not_allowed; id mine")
