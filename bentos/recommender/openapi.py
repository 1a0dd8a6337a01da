"""OpenAPI 3.1 of the service, made of its bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bodies
from pydantic import BaseModel

Model = type[BaseModel]
REF = "#/components/schemas/{model}"
PATHS: dict[str, tuple[Model | None, Model, Sequence[int]]] = {
    "/recommend": (bodies.Recommend, bodies.Recommended, ()),
    "/similar_items": (bodies.SimilarItems, bodies.Similar, (404,)),
    "/interests": (bodies.Interests, bodies.Recommended, ()),
    "/events": (bodies.Events, bodies.Kept, (503,)),
    "/batch": (bodies.Batch, bodies.Lists, ()),
    "/admin/release": (bodies.Swap, bodies.Swap, (401, 409, 503)),
    "/release": (None, bodies.Released, ()),
}
"""What is asked, what is told, and with which faults beside those of a bad body."""


def _content(model: Model) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": REF.format(model=model.__name__)}}}}


def _operation(path: str, asked: Model | None, told: Model, faults: Sequence[int]) -> dict[str, Any]:
    responses = {"200": {"description": "The answer.", **_content(told)}}
    for status in (*faults, *((413, 422) if asked else ())):
        responses[str(status)] = {"description": "Why not.", **_content(bodies.Fault)}
    operation: dict[str, Any] = {"operationId": path.strip("/"), "responses": responses}
    if asked is None:
        return {"get": operation}
    body = {"required": True, **_content(asked)}
    return {"post": {**operation, "summary": asked.__doc__, "requestBody": body}}


def _schemas() -> dict[str, Any]:
    """Schemas of all models and of those within them."""
    models: set[Model] = {
        bodies.Fault,
        *(model for asked, told, _ in PATHS.values() for model in (asked, told) if model),
    }
    schemas: dict[str, Any] = {}
    for model in models:
        of = model.model_json_schema(ref_template=REF)
        schemas |= of.pop("$defs", {}) | {model.__name__: of}
    return dict(sorted(schemas.items()))


OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "recommender", "version": "1"},
    "paths": {path: _operation(path, *of) for path, of in PATHS.items()},
    "components": {"schemas": _schemas()},
}
