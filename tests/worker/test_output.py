"""Output of any kind: nothing breaks a run, nothing is lost below the cap, nothing secret shows."""

from __future__ import annotations

import base64

from tests.worker.room import Room


async def test_bytes_that_are_no_text_and_nul_are_replaced(room: Room) -> None:
    run_id = await room.launch_script(r"printf 'a\xff\xfeb\0c\nd\xc3'; printf '\xa9\n'")
    async with room.worker():
        assert (await room.until(run_id))["status"] == "succeeded"
    assert await room.output(run_id) == "a\ufffd\ufffdb\ufffdc\nd\u00e9\n"


async def test_a_line_of_200_kb_arrives_whole_in_several_events(room: Room) -> None:
    run_id = await room.launch_script("python3 -c \"print('ä' * 100_000); print('next')\"")
    async with room.worker():
        assert (await room.until(run_id))["status"] == "succeeded"
    assert await room.output(run_id) == "ä" * 100_000 + "\nnext\n"
    events = [event for event in await room.events(run_id) if event["type"] == "output"]
    assert len(events) >= 4
    assert all(len(event["message"].encode()) <= 65536 for event in events)


async def test_output_without_a_last_newline_is_kept(room: Room) -> None:
    run_id = await room.launch_script("printf 'one\ntwo'")
    async with room.worker():
        await room.until(run_id)
    last = [event for event in await room.events(run_id) if event["type"] == "output"][-1]
    assert last["message"].endswith("two")
    assert last["data"] == {"stream": "stdout", "partial": True}


async def test_empty_lines_and_lines_of_spaces_survive(room: Room) -> None:
    run_id = await room.launch_script(r"printf '\n\n  \nx\n\n'")
    async with room.worker():
        await room.until(run_id)
    assert await room.output(run_id) == "\n\n  \nx\n\n"


async def test_a_flood_is_capped_and_marked_and_delays_no_heartbeat(room: Room) -> None:
    run_id = await room.launch_script("timeout 6 yes 'a line of a flood' || true; echo", lease_seconds=5)
    async with room.worker(OPSROOM_OUTPUT_LIMIT_BYTES="3000000", OPSROOM_WORKER_HEARTBEAT_SECONDS="1") as worker:
        run = await room.until(run_id, seconds=40)
        assert "a heartbeat failed" not in worker.said
    assert (run["status"], run["reason"]) == ("succeeded", None)
    events = await room.events(run_id)
    kept = sum(len(e["message"]) + 1 for e in events if e["type"] == "output")
    assert 2_900_000 < kept <= 3_000_100
    truncated = [event for event in events if event["type"] == "truncated"]
    assert len(truncated) == 1
    assert truncated[0]["data"]["bytes_dropped"] > 1_000_000
    assert any(event["type"] == "log" and "cap of 3000000 bytes" in event["message"] for event in events)


async def test_many_lines_below_the_cap_arrive_all_and_in_order(room: Room) -> None:
    run_id = await room.launch_script("seq 1 100000")
    async with room.worker():
        assert (await room.until(run_id, seconds=60))["status"] == "succeeded"
    assert await room.output(run_id) == "".join(f"{n}\n" for n in range(1, 100_001))


async def test_the_chain_of_events_holds(room: Room) -> None:
    from opsroom.domain.events import Event, first_break

    run_id = await room.launch_script(r"printf 'ünï \x01\x7f \xf0\x9f\x98\x80 \"quoted\" \\\\ \t tab\n'; exit 3")
    async with room.worker():
        await room.until(run_id)
    events = [
        Event.model_validate({**e, "run_id": str(e["run_id"]), "at": e["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
        for e in await room.events(run_id)
    ]
    assert first_break(events) is None


async def test_secrets_are_given_to_steps_and_masked_in_everything_they_say(room: Room) -> None:
    secret = 'pa$$ word/"x"+42'
    room.secrets |= {"TOKEN": secret, "DB": "postgresql://u:h%40rd-to-guess@db/x", "CHOSEN": "chosen-by-a-param"}
    steps = [
        {
            "with": {
                "env": {"T": "{{ secrets.TOKEN }}", "D": "{{ secrets.DB }}", "C": "{{ secrets[params.which] }}"},
                "script": """
                  test "$T" = "$EXPECTED" || echo "the step got something else"
                  echo "plain $T."; printf %s "$T" | base64 -w0; echo; echo "$D"; echo "$C" >&2
                  python3 - <<'END'
import os, json, sys, time, urllib.parse
t = os.environ["T"]
print("quoted", urllib.parse.quote(t, safe=""), json.dumps(t))
print("inner password h@rd-to-guess")
for part in ("split ", t[:5], t[5:9], t[9:], " end\\n"):
    sys.stdout.write(part); sys.stdout.flush(); time.sleep(0.05)
END
                  exit 1""",
            }
        }
    ]
    steps[0]["with"]["env"]["EXPECTED"] = secret  # type: ignore[index]
    slug = await room.template(
        steps,
        secrets=["TOKEN", "DB"],
        params={"properties": {"which": {"type": "string", "format": "secret-ref"}}},
    )
    run_id = await room.launch(slug, {"which": "CHOSEN"})
    async with room.worker():
        run = await room.until(run_id)
    everything = "\n".join(str(event["message"]) + str(event["data"]) for event in await room.events(run_id))
    assert "the step got something else" not in everything
    assert "split ••• end" in everything
    assert "plain •••." in everything
    assert "inner password •••" in everything
    for value in (secret, "h@rd-to-guess", "h%40rd-to-guess", "chosen-by-a-param"):
        assert value not in everything
    assert base64.b64encode(secret.encode()).decode().rstrip("=") not in everything
    assert run["status"] == "failed"


async def test_a_secret_the_template_does_not_name_is_refused(room: Room) -> None:
    room.secrets["OTHER"] = "some-other-value"
    run_id = await room.launch(await room.template([{"with": {"argv": ["echo", "{{ secrets.OTHER }}"]}}]))
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["reason"]) == ("failed", "step_failed")
    assert "the template does not name the secret OTHER" in run["message"]


async def test_a_secret_the_worker_does_not_have_fails_with_what_to_set(room: Room) -> None:
    slug = await room.template([{"with": {"argv": ["echo", "{{ secrets.NOT_THERE }}"]}}], secrets=["NOT_THERE"])
    run_id = await room.launch(slug)
    async with room.worker():
        run = await room.until(run_id)
    assert "set OPSROOM_SECRET_NOT_THERE" in run["message"]


async def test_an_expression_that_means_nothing_fails_the_step_and_names_it(room: Room) -> None:
    run_id = await room.launch(await room.template([{"with": {"argv": ["echo", "{{ env.HOME }}"]}}]))
    async with room.worker():
        run = await room.until(run_id)
    assert "{{ env.HOME }} can not be resolved" in run["message"]
