"""What every stage's settings share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]


class StageSettings(BaseModel):
    """Base of a stage's settings: unknown keys are errors, assignments are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)
