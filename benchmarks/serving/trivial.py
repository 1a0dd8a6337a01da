"""The floor: the least that the same BentoML does for a POST with a JSON body."""

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


@bentoml.service(name="trivial", logging={"access": {"enabled": False}})
@bentoml.asgi_app(Starlette(routes=[Route("/recommend", answer, methods=["POST"])]), path="/")
class Trivial:
    """Nothing but the route."""
