"""Requests that must not reach the service: other sites' pages, other names than this machine's, wrong keys."""

import secrets
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fgc_runtime.serve.faults import Fault, wrong_host, wrong_key, wrong_origin
from fgc_runtime.serve.trace import trace_of

# Asked by machines that watch the server and know no key; and the page, which asks its reader for the key.
OPEN_PATHS = ("/health", "/ready", "/", "/chat.js", "/markdown.js")


def is_loopback(host: str) -> bool:
    """Returns True for a name or an address that only this machine has."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or _is_address(name, loopback=True)


class HostGuard:
    """Keeps web pages away from a server that listens on this machine only.

    A page can have its own host's name lead to 127.0.0.1 (DNS rebinding): the browser then sends that name as `Host`.
    A page of another site sends its `Origin`, if it sends more than the simplest requests.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._fault(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            trace_of(scope).blame(fault)
            await JSONResponse(fault.json(), fault.status)(scope, receive, send)

    def _fault(self, scope: Scope) -> Fault | None:
        for host in _values(scope, b"host"):
            if not self._is_own(_name(f"//{host}")):
                return wrong_host(host)
        for origin in _values(scope, b"origin"):
            if not {origin.lower(), "*"} & self._origins and not self._is_own_page(origin):
                return wrong_origin(origin)
        return None

    def _is_own(self, name: str | None) -> bool:
        """No name leads to an address of digits, so a page cannot claim one that it does not have."""
        return name is not None and (name in self._hosts or is_loopback(name) or _is_address(name))

    def _is_own_page(self, origin: str) -> bool:
        name = _name(origin)
        return name is not None and (name in self._hosts or is_loopback(name))


class KeyGuard:
    """Lets a request pass that brings the key; all pass if there is none."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app = app
        self._key = None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._key is not None and scope["path"] not in OPEN_PATHS:
            scheme, _, brought = dict(scope["headers"]).get(b"authorization", b"").strip().partition(b" ")
            if scheme.lower() != b"bearer" or not secrets.compare_digest(brought.strip(), self._key):
                fault = wrong_key().fault
                trace_of(scope).blame(fault)
                response = JSONResponse(fault.json(), fault.status, {"WWW-Authenticate": "Bearer"})
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _values(scope: Scope, name: bytes) -> Iterator[str]:
    for key, value in scope["headers"]:
        if key == name:
            yield value.decode("latin-1").strip()


def _name(url: str) -> str | None:
    """The host of a URL without its port; None if it has none, as `null` and what is no URL."""
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def _is_address(name: str, *, loopback: bool = False) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not loopback
