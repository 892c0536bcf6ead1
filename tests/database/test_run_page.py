"""What the run page reads beside the run itself: the chain of attempts, and who did what."""

from tests.database.conftest import Person, Room, Worker


async def test_the_chain_says_who_asked_for_each_attempt(
    room: Room, operator: Person, session_id: str, worker: Worker
) -> None:
    run = await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": "ada"})
    (claim,) = await worker.claim()
    await worker.start(claim)
    events = [
        {"type": "step.started", "step": "first"},
        {"type": "step.finished", "step": "first", "data": {"status": "succeeded", "exit_code": 0}},
    ]
    await worker.append(claim, 1, *events)
    await worker.finish(claim, "failed", "step_failed", message="second broke")
    other = await room.person("operator")
    again = await other.call("retry_run", p_run_id=run["id"], p_resume=True)
    chain = (await operator.call("read_run", p_run_id=again["id"]))["attempts"]
    assert [(a["id"], a["attempt"], a["carried"], a["retried_by"]) for a in chain] == [
        (run["id"], 1, 0, None),
        (again["id"], 2, 1, other.email.partition("@")[0]),
    ]
    assert chain[0]["message"] == "second broke" and chain[1]["queued_at"]


async def test_a_run_tells_who_did_what_and_nothing_of_other_runs(
    room: Room, operator: Person, session_id: str
) -> None:
    run, bystander = [
        await operator.call("create_run", p_session_id=session_id, p_template="greet", p_params={"name": name})
        for name in ("ada", "bob")
    ]
    other = await room.person("operator")
    await other.call("cancel_run", p_run_id=run["id"], p_reason="wrong database")
    viewer = await room.person("viewer")
    deeds = (await viewer.call("read_run", p_run_id=run["id"]))["deeds"]
    assert [(d["action"], d["by"], d["details"].get("reason")) for d in deeds] == [
        ("run.created", operator.email.partition("@")[0], None),
        ("run.cancel_requested", other.email.partition("@")[0], "wrong database"),
    ]
    assert len((await viewer.call("read_run", p_run_id=bystander["id"]))["deeds"]) == 1
