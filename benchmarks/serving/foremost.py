"""The lowest floor: bytes from an ASGI layer before all of BentoML's own, where the service stands too."""

import gc
from typing import Any

import bentoml
import orjson

ANSWER = orjson.dumps(
    {"items": [{"rank": rank, "item_id": f"item {rank}", "score": 0.5} for rank in range(20)]}
)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


class Before:
    """Answers POSTs; BentoML has the rest."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        orjson.loads((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


@bentoml.service(
    name="foremost",
    logging={"access": {"enabled": False}},
    # As the service does: spans are made even where none is sampled.
    tracing={"excluded_urls": "."},
)
class Foremost:
    """Nothing but the layer."""

    def __init__(self) -> None:
        # As the service does: collections would stop it for tenths of a second.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)


Foremost.add_asgi_middleware(Before)  # type: ignore[attr-defined]
