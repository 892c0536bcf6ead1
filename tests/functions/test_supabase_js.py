"""Starts the contract tests that are written in TypeScript, with the unmodified supabase-js, against the same room."""

from tests.functions.deno import CONFIG, TEST_LOCK, TESTS, deno
from tests.functions.room import PASSWORD, Room


async def test_supabase_js_drives_a_run_through_the_executor(room: Room, worker_id: str) -> None:
    output = await deno(
        "test",
        *CONFIG,
        *TEST_LOCK,
        "--allow-env",
        "--allow-net=127.0.0.1,localhost",
        str(TESTS / "supabase_js.contract.ts"),
        env={
            "SUPABASE_URL": str(room.http.base_url).rstrip("/"),
            "SUPABASE_ANON_KEY": room.anon_key,
            "SUPABASE_SERVICE_ROLE_KEY": room.service_key,
            "CONTRACT_EMAIL": "operator@contract.example",
            "CONTRACT_PASSWORD": PASSWORD,
            "CONTRACT_WORKER": worker_id,
        },
    )
    assert "2 passed | 0 failed" in output
