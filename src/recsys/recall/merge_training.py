"""What a place in each channel's list is worth, learned from what users did next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from recsys.recall.merge import KNOTS
from recsys.types import PAD, Candidates


def learn_gains(
    found: Mapping[str, Candidates], hits: Mapping[str, np.ndarray], regularization: float = 10.0
) -> dict[str, list[float]]:
    """Gains by channel for `merge`, under which what users met next stands high among all that was found.

    ``hits`` (n, k) bool mark the relevant of each channel's candidates. A user's candidates are a softmax of
    their sums of gains, and each user's relevant ones share one log-likelihood, so users count alike. Gains
    never rise with the rank and are never negative: to be found is no fault. A channel that tells nothing
    beyond the others ends at zero; where nobody has a relevant candidate, all do.
    """
    examples = _examples(found, hits)
    width = len(KNOTS)
    # Steps between knots, from the last to each: not negative, so gains fall with the rank.
    falling = sparse.kron(sparse.eye(len(found)), np.triu(np.ones((width, width)))).tocsr()
    features = (examples.features @ falling).tocsr()
    target = features.T @ examples.share

    def loss(steps: np.ndarray) -> tuple[float, np.ndarray]:
        logits = features @ steps
        highest = np.maximum.reduceat(logits, examples.starts)
        odds = np.exp(logits - np.repeat(highest, examples.lengths))
        sums = np.add.reduceat(odds, examples.starts)
        expected = features.T @ (odds / np.repeat(sums, examples.lengths))
        value = (np.log(sums) + highest).sum() - steps @ target + regularization / 2 * steps @ steps
        return value / len(sums), (expected - target + regularization * steps) / len(sums)

    if not len(examples.starts):
        return {name: [0.0] * width for name in found}
    start = np.full(features.shape[1], 0.05)
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    gains = np.asarray(falling @ fitted.x).reshape(len(found), width).round(6)
    return {name: each.tolist() for name, each in zip(found, gains, strict=True)}


def learn_quotas(
    found: Mapping[str, Candidates], hits: Mapping[str, np.ndarray], k: int, step: int = 10
) -> dict[str, int]:
    """How many candidates to take from each channel, so that about ``k`` different ones hold most hits.

    ``hits`` (n, depth) bool as `learn_gains` takes them. Each time the channel gives ``step`` more whose next
    ones bring most relevant items for each new candidate, users counting alike, until the mean user has
    ``k``. A channel that finds what the others have found already gets none.
    """
    keys = np.stack([_keys(each.items, 1 + _last_item(found)) for each in found.values()])
    every, places = np.unique(keys, return_inverse=True)
    places, relevant = places.reshape(keys.shape), np.stack([hits[name] for name in found])
    worth = np.zeros(len(every))
    worth[places[relevant]] = 1
    of_user = every // (1 + _last_item(found))
    worth /= np.maximum(np.bincount(of_user[every != PAD], worth[every != PAD], len(keys[0])), 1)[of_user]
    new, quotas = every != PAD, np.zeros(len(found), dtype=np.int64)
    while (~new).sum() < k * len(keys[0]):
        following = [
            np.unique(each[:, start : start + step]) for each, start in zip(places, quotas, strict=True)
        ]
        gains = [worth[each[new[each]]].mean() if new[each].any() else -1 for each in following]
        if max(gains) < 0:
            break
        best = int(np.argmax(gains))
        new[following[best]] = False
        quotas[best] += step
    return dict(zip(found, quotas.tolist(), strict=True))


class _Examples(NamedTuple):
    """All candidates of users with a relevant one, user after user.

    ``features`` (candidates, channels * knots) say how near a place is to each knot, ``share`` what part of
    its user's relevant candidates it is; a user's begin at ``starts`` and are ``lengths`` many.
    """

    features: sparse.csr_matrix
    share: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def _examples(found: Mapping[str, Candidates], hits: Mapping[str, np.ndarray]) -> _Examples:
    useful = np.flatnonzero(np.any([hits[name].any(axis=1) for name in found], axis=0))
    n_items = 1 + _last_item(found)
    keys = {name: _keys(each.items[useful], n_items) for name, each in found.items()}
    every = np.unique(np.concatenate([each[each != PAD] for each in keys.values()]))
    relevant = np.zeros(len(every), dtype=bool)
    blocks = []
    for name, each in keys.items():
        inside = each != PAD
        at = np.searchsorted(every, each[inside])
        relevant[at] |= hits[name][useful][inside]
        blocks.append(_hats(at, np.nonzero(inside)[1], len(every)))
    users = every // n_items
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    lengths = np.diff(starts, append=len(users))
    n_relevant = np.add.reduceat(relevant, starts) if len(starts) else starts
    share = relevant / np.repeat(n_relevant, lengths)
    return _Examples(sparse.hstack(blocks).tocsr(), share, starts, lengths)


def _last_item(found: Mapping[str, Candidates]) -> int:
    return max(int(each.items.max(initial=0)) for each in found.values())


def _keys(items: np.ndarray, n_items: int) -> np.ndarray:
    """One number a user and item; PAD where there is none."""
    rows = np.arange(len(items), dtype=np.int64)[:, None]
    return np.where(items == PAD, PAD, rows * n_items + items)


def _hats(candidates: np.ndarray, ranks: np.ndarray, n: int) -> sparse.csr_matrix:
    """How near ``ranks`` (m,), from 0, of ``candidates`` (m,) are to each knot, (n, knots), by logarithm."""
    log = np.minimum(np.log2(1 + ranks), len(KNOTS) - 1)
    below = np.minimum(log.astype(np.int64), len(KNOTS) - 2)
    rows, columns = np.tile(candidates, 2), np.concatenate([below, below + 1])
    values = np.concatenate([1 - (log - below), log - below])
    return sparse.csr_matrix((values, (rows, columns)), shape=(n, len(KNOTS)))
