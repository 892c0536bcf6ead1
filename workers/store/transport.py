"""How calls reach the control plane: one protocol, two transports."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Protocol

Channel = Literal["calls", "heartbeat"]
"""Heartbeats have a connection of their own, so that a flood of events never delays one."""

Losses = Literal["connection", "lease"]
"""By what the database notices that a worker is gone: its connection within seconds, or only its leases."""


class Unavailable(Exception):
    """The control plane could not be reached or did not answer; whether the call took effect is not known.

    Every function is idempotent on replay, so the same call is simply made again.
    """


class Refused(Exception):
    """The control plane answered with an error that is none of the domain's and that repeating does not mend."""


class Transport(Protocol):
    """Calls SQL functions in schema public as service_role."""

    @property
    def name(self) -> str:
        """As recorded with the worker: `postgres` or `https`."""
        ...

    @property
    def losses(self) -> Losses: ...

    async def open(self) -> None:
        """Get ready; does not need the control plane to be up."""
        ...

    async def close(self) -> None: ...

    async def call(self, function: str, params: Mapping[str, Any], channel: Channel) -> Any:
        """The function's JSON answer. Raises an OpsRoomError, Refused, or Unavailable when the call may be repeated."""
        ...

    def hints(self, worker_id: str) -> AsyncIterator[str]:
        """Wake-ups, `queued` or `cancel:<run_id>`: hints only, they may be lost or come twice.

        The connection they come on is the worker's own one, which tells the database that the worker is alive.
        """
        ...
