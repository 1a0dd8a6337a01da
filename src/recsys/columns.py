"""The only place where a column name is spelled."""

USER_ID = "user_id"
ITEM_ID = "item_id"
TITLE = "title"
USER_IDX = "user_idx"
ITEM_IDX = "item_idx"
TIMESTAMP = "timestamp"
VALUE = "value"
"""Strength of the feedback (a rating, a watch time); 1 where a data set has none."""
POSITIVE = "positive"
"""Whether the interaction counts as a sign of interest."""
LABEL_PREFIX = "label_"
"""Tasks' labels are columns ``label_<task>``."""
ACTIVITY = "history_length", "since_last", "since_first"
"""What is told of a request's history."""
CONTEXT_PREFIX = "context_"
"""What was known of the request is columns ``context_<name>``."""
OBSERVED_PREFIX = "observed_"
"""What an interaction tells of its item, as the price, is columns ``observed_<name>``."""

RANK = "rank"
SCORE = "score"
CHANNEL = "channel"
REASON = "reason"

SPLIT = "split"
SYSTEM = "system"
SLICE = "slice"
METRIC = "metric"


def context(name: str) -> str:
    """Column of a context in the interactions table."""
    return CONTEXT_PREFIX + name


def observed(name: str) -> str:
    """Column of what interactions tell of their item."""
    return OBSERVED_PREFIX + name


def label(task: str) -> str:
    """Column of ``task``'s label in the interactions table."""
    return LABEL_PREFIX + task
