"""SGD with the schemas of SGD-X variant v3, see data/sources/sgd/variants.py; evaluation only."""

from __future__ import annotations

from data.sources.sgd.source import SGD

SOURCE = SGD("v3")
