"""Runs on a real worker process and the real database: the happy path and the graph."""

from __future__ import annotations

import json

from tests.worker.room import Room


async def test_a_run_is_claimed_started_and_succeeds_with_its_output_as_events(room: Room) -> None:
    run_id = await room.launch_script("echo one; echo two >&2; echo three")
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["reason"], run["exit_code"]) == ("succeeded", None, 0)
    assert await room.output(run_id) == "one\nthree\n"
    assert await room.output(run_id, "stderr") == "two\n"
    kinds = [event["type"] for event in await room.events(run_id) if event["type"] != "output"]
    assert kinds == ["run.queued", "run.claimed", "run.started", "step.started", "step.finished", "run.succeeded"]


async def test_a_new_run_wakes_an_idle_worker_long_before_it_polls(room: Room) -> None:
    async with room.worker(OPSROOM_WORKER_POLL_SECONDS="60") as worker:
        await worker.until_said("worker started")
        # The first claim and the LISTEN are behind it once it was idle for a moment and has run something.
        await room.until(await room.launch_script("true"))
        run = await room.until(await room.launch_script("true"))
    assert (run["claimed_at"] - run["queued_at"]).total_seconds() < 1


async def test_steps_run_as_a_graph_and_a_failed_one_skips_what_needs_it(room: Room) -> None:
    slug = await room.template(
        [
            {"id": "a", "with": {"script": "exit 7"}},
            {"id": "b", "needs": ["a"], "with": {"script": "echo never"}},
            {"id": "c", "needs": ["b"], "with": {"script": "echo never"}},
            {"id": "d", "with": {"script": "echo apart"}},
            {"id": "e", "required": False, "with": {"script": "exit 1"}},
            {"id": "f", "needs": ["e"], "with": {"script": "echo after optional"}},
        ]
    )
    run_id = await room.launch(slug)
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["reason"], run["exit_code"]) == ("failed", "step_failed", 7)
    assert run["message"] == "Step a: exit code 7"
    steps = {name: step["status"] for name, step in (await room.steps(run_id)).items()}
    assert steps == {"a": "failed", "b": "skipped", "c": "skipped", "d": "succeeded", "e": "failed", "f": "succeeded"}


async def test_steps_that_do_not_need_each_other_run_at_once(room: Room) -> None:
    # Each waits for the other's file: one after the other they would wait for ever.
    meet = "touch $0; until [ -e $1 ]; do sleep 0.02; done"
    steps = [
        {"id": "left", "with": {"argv": ["bash", "-c", meet, "l", "r"]}},
        {"id": "right", "with": {"argv": ["bash", "-c", meet, "r", "l"]}},
    ]
    run_id = await room.launch(await room.template(steps))
    async with room.worker():
        assert (await room.until(run_id))["status"] == "succeeded"


async def test_a_failed_optional_step_leaves_the_run_succeeded(room: Room) -> None:
    run_id = await room.launch(await room.template([{"required": False, "with": {"script": "exit 3"}}]))
    async with room.worker():
        run = await room.until(run_id)
    assert run["status"] == "succeeded"


async def test_a_command_that_does_not_exist_fails_the_step_and_says_so(room: Room) -> None:
    run_id = await room.launch(await room.template([{"with": {"argv": ["no-such-command"]}}]))
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["exit_code"]) == ("failed", 127)
    assert "'no-such-command' can not be started: No such file or directory" in run["message"]


async def test_a_run_knows_itself_and_its_working_directory_is_fresh_and_removed(room: Room) -> None:
    run_id = await room.launch_script('ls -A; touch left; pwd; echo "$WORKDIR $RUN_ID $RUN_ATTEMPT"')
    async with room.worker():
        await room.until(run_id)
    workdir = (await room.output(run_id)).splitlines()[0]
    assert await room.output(run_id) == f"{workdir}\n{workdir} {run_id} 1\n"
    assert not [path for path in room.folder.iterdir() if path.name.startswith("opsroom-run-")]


async def test_params_stay_data_whatever_they_hold(room: Room) -> None:
    evil = ["; touch pwned", "$(touch pwned)", "`touch pwned`", "' \" \n \\ ", "--help", "{{ run.id }}", "ü 漢", "-e"]
    params = {"properties": {"text": {"type": "string"}, "many": {"type": "array", "items": {"type": "string"}}}}
    slug = await room.template(
        [
            {"id": "argv", "with": {"argv": ["python3", "-c", PRINT, "{{ params.text }}", "{{ params.many }}"]}},
            {"id": "script", "with": {"script": f"python3 -c '{PRINT}' \"$@\"; ls", "args": ["{{ params.many }}"]}},
            {"id": "env", "with": {"script": 'printf "%s" "$PARAM_TEXT"', "env": {"X": "{{ params.text }}"}}},
        ],
        params=params,
    )
    run_id = await room.launch(slug, {"text": evil[0], "many": evil})
    async with room.worker():
        assert (await room.until(run_id))["status"] == "succeeded"
    said = {step: "" for step in ("argv", "script", "env")}
    for event in await room.events(run_id):
        if event["type"] == "output":
            said[event["step"]] += event["message"]
    assert json.loads(said["argv"]) == [evil[0], *evil]
    assert json.loads(said["script"]) == evil  # and `ls` found nothing
    assert said["env"] == evil[0]


PRINT = "import json,sys; print(json.dumps(sys.argv[1:]))"


async def test_the_credentials_of_the_worker_are_not_in_the_environment_of_a_step(room: Room) -> None:
    room.secrets["TOKEN"] = "s3cret-value-of-token"
    run_id = await room.launch_script("env | cut -d= -f1 | sort")
    async with room.worker(PGPASSWORD="not-for-steps", OPSROOM_STEP_ENV="SUPABASE_URL EXTRA", EXTRA="1"):
        await room.until(run_id)
    names = (await room.output(run_id)).split()
    assert not [name for name in names if name.startswith(("SUPABASE", "OPSROOM", "PG"))]
    assert {"PATH", "RUN_ID", "EXTRA"} <= set(names)


async def test_a_template_from_a_newer_version_ends_the_run_with_a_clear_reason(room: Room) -> None:
    run_id = await room.launch_script("true")
    row = (await room.sql("select template_version_id from runs where id = %s", run_id))[0]
    # The database takes what a newer room may define; only this worker's version does not know it.
    await room.sql("alter table template_versions disable trigger user")
    try:
        await room.sql(
            "update template_versions set spec = jsonb_set(spec::jsonb, '{steps,0,kind}', '\"teleport\"')::json"
            " where id = %s",
            row["template_version_id"],
        )
    finally:
        await room.sql("alter table template_versions enable trigger user")
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["reason"]) == ("failed", "invalid_template")
    assert "/steps/0/kind" in run["message"]
