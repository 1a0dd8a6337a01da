"""The page's files, read once and served from memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wire import NOT_MODIFIED, Reply, Request, Route

PAGE = Path(__file__).parent / "page"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def routes() -> dict[tuple[str, str], Route]:
    """Routes to all of them; index.html is the root."""
    found = {"/" if path.name == "index.html" else f"/{path.name}": path for path in PAGE.iterdir()}
    return {
        (method, at): _route(path.read_bytes(), KINDS[path.suffix])
        for at, path in found.items()
        for method in ("GET", "HEAD")
    }


def _route(content: bytes, kind: str) -> Route:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'.encode()
    kept = ((b"cache-control", b"no-cache"), (b"etag", tag))
    whole = Reply(content, 200, ((b"content-type", f"{kind}; charset=utf-8".encode()), *kept))
    unchanged = Reply(b"", NOT_MODIFIED, kept)

    async def answer(request: Request[None]) -> Reply:
        return unchanged if tag in request.header(b"if-none-match") else whole

    return Route(answer)
