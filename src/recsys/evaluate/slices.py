"""Groups of users that are looked at apart."""

from __future__ import annotations

import numpy as np

from recsys.data.attributes import Attribute
from recsys.data.dataset import Dataset
from recsys.data.split import Fold

_MAX_SEGMENTS = 10  # an attribute of more values gives slices too thin to read


def slices(dataset: Dataset, fold: Fold, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the users at ``rows`` of ``fold.users``, each (n,) bool, by name: ``activity=low``.

    By terciles of activity, by each attribute of few values (whoever has none is in no slice), and by whether
    the order of the user's last past and first future interaction is drawn (tied) or known. A group that
    holds all of them is no slice.
    """
    users = fold.users[rows]
    masks = _activity(fold.past.user_counts[users])
    for attribute in dataset.spec.attributes("user"):
        if isinstance(attribute, Attribute) and attribute.kind == "category":
            values = dataset.users[attribute.name].to_numpy(dtype=object)[users]
            masks |= _segments(attribute.name, values)
    tied = fold.tied[rows]
    masks |= {"order=tied": tied, "order=untied": ~tied}
    return {name: inside for name, inside in masks.items() if inside.any() and not inside.all()}


def _activity(met: np.ndarray) -> dict[str, np.ndarray]:
    if not len(met):
        return {}
    low, high = np.quantile(met, [1 / 3, 2 / 3])
    thirds = {"low": met <= low, "medium": (met > low) & (met <= high), "high": met > high}
    return {f"activity={name}": inside for name, inside in thirds.items()}


def _segments(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    kinds = sorted(set(values) - {None})
    return {f"{name}={kind}": values == kind for kind in kinds} if len(kinds) <= _MAX_SEGMENTS else {}
