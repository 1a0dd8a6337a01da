"""A first ``dataset.yaml`` for files of one's own: `look` at what they hold, then `draft` it."""

from recsys.drafting.draft import draft

__all__ = ["draft"]
