"""A first ``dataset.yaml`` for files of one's own: `look` at what they hold, `draft` it, and its `preset`."""

from recsys.drafting.draft import draft
from recsys.drafting.preset import preset, preset_name

__all__ = ["draft", "preset", "preset_name"]
