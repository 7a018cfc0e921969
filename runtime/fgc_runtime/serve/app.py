"""A service in, an ASGI application out: routes, the key check, and every error in OpenAI's form."""

import secrets

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fgc_runtime.serve import endpoints
from fgc_runtime.serve.faults import Fault, RequestError, failure, wrong_key
from fgc_runtime.serve.metrics import Counters
from fgc_runtime.serve.service import Service

_OPEN_PATHS = ("/health",)  # asked by machines that watch the server and know no key

_ROUTES = [
    Route("/health", endpoints.health),
    Route("/metrics", endpoints.show_metrics),
    Route("/v1/models", endpoints.list_models),
    Route("/v1/models/{name:path}", endpoints.show_model),
    Route("/v1/completions", endpoints.complete, methods=["POST"]),
    Route("/v1/chat/completions", endpoints.chat, methods=["POST"]),
]


def application(service: Service) -> Starlette:
    app = Starlette(
        routes=_ROUTES,
        middleware=[Middleware(Counting, counters=service.counters), Middleware(KeyGuard, key=service.api_key)],
        exception_handlers={RequestError: _refuse, HTTPException: _refuse_route, Exception: _fail},
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return JSONResponse(error.fault.json(), error.fault.status)


def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    known = ", ".join(f"{sorted((route.methods or set()) - {'HEAD'})[0]} {route.path}" for route in _ROUTES)
    message, code = f"Unknown request: {what}. There are {known}.", "unknown_url"
    if error.status_code == 405:
        message, code = f"Not allowed to {what}.", "method_not_allowed"
    return JSONResponse(Fault(error.status_code, message, code=code).json(), error.status_code, error.headers)


def _fail(_: Request, error: Exception) -> Response:
    return JSONResponse(failure(f"Our own mistake: {type(error).__name__}").json(), 500)


class KeyGuard:
    """Lets a request pass that brings the key; all pass if there is none."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app = app
        self._expected = None if key is None else f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._expected is not None and scope["path"] not in _OPEN_PATHS:
            brought = dict(scope["headers"]).get(b"authorization", b"")
            if not secrets.compare_digest(brought, self._expected):
                fault = wrong_key().fault
                response = JSONResponse(fault.json(), fault.status, {"WWW-Authenticate": "Bearer"})
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Counting:
    """Counts answers by route and status."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self._counters.answers[route, message["status"]] += 1
            await send(message)

        await self._app(scope, receive, count if scope["type"] == "http" else send)
