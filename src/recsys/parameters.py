"""Parameters of which only what differs is told again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ParameterError(Exception):
    """An override of something that is not there; the message names it."""


def overridden(params: Mapping[str, Any], overrides: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """``params`` with the values of ``overrides``, mapping within mapping; null takes a mapping away.

    A name that ``params`` does not have raises ParameterError: it would be an override of nothing.
    """
    result = dict(params)
    for name, value in overrides.items():
        if name not in params:
            raise ParameterError(f"there is no {path}{name} to override")
        if isinstance(params[name], Mapping) and value is None:
            del result[name]
        elif isinstance(params[name], Mapping) and isinstance(value, Mapping):
            result[name] = overridden(params[name], value, f"{path}{name}.")
        else:
            result[name] = value
    return result
