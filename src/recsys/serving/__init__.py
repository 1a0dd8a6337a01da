"""A release at work, without HTTP around it; `recsys.serving.replay` answers logged requests again."""

from recsys.serving.live import PARTIAL, STEPS, TABLES, Answer, Ask, Live

__all__ = ["PARTIAL", "STEPS", "TABLES", "Answer", "Ask", "Live"]
