"""A lower floor: a Starlette app that BentoML mounts."""

import gc

import bentoml
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ANSWER = orjson.dumps(
    {"items": [{"rank": rank, "item_id": f"item {rank}", "score": 0.5} for rank in range(20)]}
)


async def answer(request: Request) -> Response:
    orjson.loads(await request.body())
    return Response(ANSWER, media_type="application/json")


@bentoml.service(name="mounted", logging={"access": {"enabled": False}})
@bentoml.asgi_app(Starlette(routes=[Route("/recommend", answer, methods=["POST"])]), path="/")
class Mounted:
    """Nothing but the route."""

    def __init__(self) -> None:
        # As the service does: collections of all that was imported would stop requests.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
