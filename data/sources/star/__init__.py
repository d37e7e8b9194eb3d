"""STAR (Mosig, Mehri, Kober 2020, arXiv 2010.11853): task dialogues in which people play both user and assistant."""

from data.sources.star.source import SOURCE

__all__ = ["SOURCE"]
