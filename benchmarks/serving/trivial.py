"""The plain floor: an endpoint as BentoML's documents show it, typed input in, a pydantic model out.

It is asynchronous, which spares each request a thread: the quicker of the two kinds.
"""

import bentoml
from pydantic import BaseModel


class Item(BaseModel):
    """One place of a list."""

    rank: int
    item_id: str
    score: float


class Recommended(BaseModel):
    """A list."""

    items: list[Item]


ANSWER = Recommended(items=[Item(rank=rank, item_id=f"item {rank}", score=0.5) for rank in range(20)])


@bentoml.service(name="trivial", logging={"access": {"enabled": False}})
class Trivial:
    """Nothing but the endpoint."""

    @bentoml.api(route="/recommend")
    async def recommend(self, user_id: str, k: int = 20) -> Recommended:
        """The same list for everybody."""
        return ANSWER
