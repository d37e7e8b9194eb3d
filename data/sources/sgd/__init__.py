"""Schema-Guided Dialogue (Rastogi et al. 2020, arXiv 1909.05855): task dialogues with annotated service calls."""

from data.sources.sgd.source import SOURCE

__all__ = ["SOURCE"]
