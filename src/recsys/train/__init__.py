"""How a network is trained: the one loop, in one process or in several, with checkpoints."""

from recsys.train.loop import (
    Batch,
    Batches,
    fit,
    load_weights,
    one_cycle,
    reproducible,
    weights_of,
)
from recsys.train.streamed import batches

__all__ = ["Batch", "Batches", "batches", "fit", "load_weights", "one_cycle", "reproducible", "weights_of"]
