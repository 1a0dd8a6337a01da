"""A release at work, without HTTP around it; `recsys.serving.replay` answers logged requests again."""

from recsys.pipeline import ContextError
from recsys.serving.live import PARTIAL, STEPS, TABLES, Answer, Ask, Live

__all__ = ["PARTIAL", "STEPS", "TABLES", "Answer", "Ask", "ContextError", "Live"]
