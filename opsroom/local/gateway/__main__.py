"""`python -m opsroom.local.gateway`: the gateway process, started by the supervisor."""

from __future__ import annotations

import uvicorn

from opsroom.local.gateway.app import create_app
from opsroom.local.gateway.settings import MAX_JSON_BYTES, settings_for
from opsroom.local.paths import LOOPBACK, ports_from_environment, state_from_environment
from opsroom.local.secrets import load_or_create


def main() -> None:
    state, ports = state_from_environment(), ports_from_environment()
    settings = settings_for(state, load_or_create(state.secrets), ports)
    uvicorn.run(
        create_app(settings),
        host=LOOPBACK,
        port=ports.api,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="websockets",
        ws_max_size=MAX_JSON_BYTES,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
