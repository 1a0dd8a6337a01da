"""Lists of items judged by what users did next: metrics, intervals, slices, channels.

No sampled negatives: a list is drawn from the whole catalogue.
"""

from recsys.evaluate.channels import left_out, only_found_by, overlap, recall_curve
from recsys.evaluate.intervals import means, relative
from recsys.evaluate.judge import ALL, Judge
from recsys.evaluate.report import to_metrics, write_report

__all__ = [
    "ALL",
    "Judge",
    "left_out",
    "means",
    "only_found_by",
    "overlap",
    "recall_curve",
    "relative",
    "to_metrics",
    "write_report",
]
