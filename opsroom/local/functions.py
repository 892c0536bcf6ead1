"""The Edge Function runtime: real Deno, serving `supabase/functions/*/index.ts`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from opsroom.local.environment import passed_on
from opsroom.local.errors import MissingTool, StackError
from opsroom.local.paths import REPOSITORY

FUNCTIONS_FOLDER = REPOSITORY / "supabase" / "functions"
ROUTER = Path(__file__).parent / "functions_router.ts"
# Supabase's own examples import from jsr.io, which cannot be reached everywhere: the same package is on npm, and the
# type declarations have no code. Added only for functions that use them.
_JSR = {
    "jsr:@supabase/supabase-js@2": "npm:@supabase/supabase-js@2",
    "jsr:@supabase/functions-js/edge-runtime.d.ts": "data:application/typescript,",
}


@dataclass(frozen=True)
class Functions:
    """The functions of the repository. `cache` is Deno's own folder; `folder` gets the merged configuration."""

    folder: Path
    cache: Path

    def entrypoints(self) -> dict[str, Path]:
        return {path.parent.name: path for path in sorted(FUNCTIONS_FOLDER.glob("*/index.ts"))}

    def command(self, port: int) -> list[str]:
        pairs = [f"{name}={path.as_uri()}" for name, path in self.entrypoints().items()]
        rights = ["--allow-net", "--allow-env", f"--allow-read={FUNCTIONS_FOLDER}", "--no-prompt"]
        return [deno(), "run", "--quiet", "--cached-only", *self._options(), *rights, str(ROUTER), str(port), *pairs]

    def environment(self, url: str, anon_key: str, service_role_key: str) -> dict[str, str]:
        keys = {"SUPABASE_URL": url, "SUPABASE_ANON_KEY": anon_key, "SUPABASE_SERVICE_ROLE_KEY": service_role_key}
        return {**self._deno_environment(), **keys}

    @property
    def _marker(self) -> Path:
        return self.cache / "functions.cached"

    def is_cached(self) -> bool:
        return self._marker.exists() and self._marker.read_text() == self._fingerprint()

    async def fetch(self) -> None:
        """Download what the functions import, once; afterwards everything runs offline."""
        self.cache.mkdir(parents=True, exist_ok=True)
        paths = [str(path) for path in self.entrypoints().values()]
        process = await asyncio.create_subprocess_exec(
            deno(),
            "cache",
            *self._options(),
            str(ROUTER),
            *paths,
            env={**self._deno_environment(), "NO_COLOR": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode != 0:
            lines = errors.decode("utf-8", "replace").strip().splitlines()[-5:]
            raise StackError("Deno could not fetch what the Edge Functions import:\n" + "\n".join(lines))
        self._marker.write_text(self._fingerprint())

    def _options(self) -> list[str]:
        return ["--config", str(self._write_config()), "--node-modules-dir=none", *self._lock()]

    def _lock(self) -> list[str]:
        # The lock of the only function also pins what its packages depend on; locks of several cannot be merged.
        locks = [path.parent / "deno.lock" for path in self.entrypoints().values()]
        return ["--lock", str(locks[0]), "--frozen"] if len(locks) == 1 and locks[0].exists() else ["--no-lock"]

    def _write_config(self) -> Path:
        """One configuration for one process: the import maps of all functions, which must not contradict each other."""
        imports: dict[str, str] = {}
        for name, entrypoint in self.entrypoints().items():
            sources = "".join(path.read_text() for path in entrypoint.parent.glob("*.ts"))
            imports.update({key: target for key, target in _JSR.items() if key in sources})
            for key, target in _imports(entrypoint.parent).items():
                resolved = (entrypoint.parent / target).as_uri() if target.startswith(".") else target
                if imports.setdefault(key, resolved) != resolved:
                    raise StackError(
                        f"{name}/deno.json maps {key!r} to {resolved}, another function to {imports[key]}."
                    )
        path = self.folder / "functions.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"imports": imports}, indent=2))
        return path

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in [ROUTER, *sorted(FUNCTIONS_FOLDER.glob("*/*"))]:
            if path.suffix in (".ts", ".json", ".lock"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()

    def _deno_environment(self) -> dict[str, str]:
        own = {"DENO_DIR": str(self.cache), "DENO_NO_UPDATE_CHECK": "1", "DENO_TLS_CA_STORE": "system,mozilla"}
        return {**own, **passed_on()}


def deno() -> str:
    """The path of the Deno that the `deno` package installed."""
    path = Path(sysconfig.get_path("scripts")) / "deno"
    if not path.exists():
        raise MissingTool("Deno is missing: run `uv sync --extra embedded` (or `make setup`).")
    return str(path)


def _imports(folder: Path) -> dict[str, str]:
    path = folder / "deno.json"
    if not path.exists():
        return {}
    return dict(json.loads(path.read_text()).get("imports", {}))
