"""How good the ranker's probabilities are, task by task."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys import metrics
from recsys.rank.inputs import Examples
from recsys.rank.ranker import Scores


def by_task(scores: Scores, examples: Examples) -> pd.DataFrame:
    """AUC, GAUC (by request), log loss and calibration error: a row for each task that was scored.

    Of the candidates that are counted. AUC asks of a numeric task whether there is any of it.
    """
    counted = examples.counted
    requests = np.broadcast_to(np.arange(len(counted))[:, None], counted.shape)[counted]
    rows = []
    for task, probabilities in scores.probabilities.items():
        p, label = probabilities[counted], examples.labels[task][counted]
        rows.append(
            {
                "task": task,
                "auc": metrics.auc(p, label > 0),
                "gauc": metrics.gauc(p, label > 0, requests),
                "log_loss": metrics.log_loss(p, label),
                "calibration_error": metrics.calibration_error(p, label),
            }
        )
    return pd.DataFrame(rows)


def in_one_row(tasks: pd.DataFrame) -> dict[str, float]:
    """`by_task`'s figures under names like ``liked_auc``."""
    return {
        f"{row['task']}_{name}": float(value)
        for row in tasks.to_dict("records")
        for name, value in row.items()
        if name != "task"
    }
