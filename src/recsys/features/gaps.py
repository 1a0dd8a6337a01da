"""How much time lies between two moments, as the number of a bucket: each twice as long as the one before."""

from __future__ import annotations

import numpy as np

N_GAPS = 34
NO_GAP = 33
"""Of an item that nothing came before."""


def gap_buckets(seconds: np.ndarray) -> np.ndarray:
    """Bucket of each gap, int64 of the same shape: 0 within a second, then 1, 2 - 3, 4 - 7 and so on seconds.

    A negative gap counts as none; from 2 ** 31 seconds (68 years) on all are one.
    """
    # The exponent is exact, where a logarithm's last digit would depend on who computed it.
    exponents = np.frexp(np.clip(seconds, 0, 1 << 31).astype(np.float64))[1]
    return np.asarray(exponents, dtype=np.int64)
