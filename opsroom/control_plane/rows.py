"""The base of all that the control plane answers."""

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """Base of the read model."""

    model_config = ConfigDict(frozen=True, extra="ignore")
