"""Seeded random numbers that belong to an id, not to a place in a file.

They depend on nothing but the seed and the id: whichever other rows come, go or change places, an id's
number stays.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def draw(ids: pd.Index, seed: int) -> np.ndarray:
    """Draw a uint64 for each of ``ids`` (strings): SipHash under the key ``seed``."""
    if seed < 0:
        raise ValueError(f"seed must not be negative, but is {seed}")
    return pd.util.hash_array(ids.to_numpy(dtype=object), hash_key=f"{seed % 10**16:016d}")


def mix(*numbers: np.ndarray) -> np.ndarray:
    """Make one random uint64 a row of several, as SplitMix64 does (Steele et al., OOPSLA 2014)."""
    mixed = np.zeros(len(numbers[0]), dtype=np.uint64)
    for each in numbers:
        mixed = mixed + each.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed
