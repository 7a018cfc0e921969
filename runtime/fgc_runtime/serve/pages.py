"""Pages for people, which ask no other host."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

# Only what the server itself holds runs, and it may ask this server only.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def show_chat(request: Request) -> Response:
    """The page of the chat; it holds no secret, and asks for the key where one is needed."""
    return _file("index.html", "text/html")


async def show_script(request: Request) -> Response:
    """A script of the page, by the name in its address."""
    return _file(request.url.path.strip("/"), "text/javascript")


def _file(name: str, media_type: str) -> Response:
    text = (files("fgc_runtime.serve") / "page" / name).read_text(encoding="utf-8")
    return Response(text, media_type=media_type, headers=HEADERS)
