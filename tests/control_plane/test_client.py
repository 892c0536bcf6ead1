"""The typed client against a real gateway and database."""

import asyncio
import datetime as dt

import psycopg
import pytest

from opsroom.control_plane.auth import Auth, Credentials, Tokens
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.config import Connection
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.models import Session
from opsroom.control_plane.rest import open_http
from opsroom.control_plane.search import RunFilter
from opsroom.domain import errors
from tests.support.gateway import Gateway

URL = {"url": "https://example.org/health"}


async def test_a_member_is_told_who_they_are(operator: ControlPlane) -> None:
    me = await operator.whoami()
    assert (me.role, me.email) == ("operator", operator.credentials.tokens.email)


async def test_templates_come_with_their_schema(operator: ControlPlane) -> None:
    slugs = {template.slug for template in await operator.templates()}
    assert {"http-healthcheck", "postgres-snapshot", "spec-kit-validate"} <= slugs
    template = await operator.template("http-healthcheck")
    assert template.params_schema["required"] == ["url"]
    assert template.title == "Check an HTTP address"
    assert list(template.params_schema["properties"])[:2] == ["url", "expected_status"]
    assert await operator.template("http-healthcheck", template.version) == template


async def test_a_run_shows_on_the_board_in_its_lane(operator: ControlPlane, session: Session) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    run = await operator.create_run(
        session.id, "http-healthcheck", URL, lane="B", priority=7, not_before=soon, title="Look"
    )
    assert (run.status, run.lane, run.priority, run.title, run.not_before) == ("queued", "B", 7, "Look", soon)
    assert run.params == {**URL, "expected_status": [200], "timeout_seconds": 10}
    board = await operator.read_board(session.id)
    assert [card.id for card in board.lane("B").queue] == [run.id]
    assert [lane.queued for lane in board.lanes] == [0, 1, 0, 0]
    detail = await operator.read_run(run.id)
    assert [step.step_id for step in detail.steps] == ["request"]
    page = await operator.read_events(run.id)
    assert [event.type for event in page.events] == ["run.queued"]
    assert (page.last_seq, page.terminal) == (1, False)


async def test_a_cancelled_run_can_be_retried_and_rerun(operator: ControlPlane, session: Session) -> None:
    run = await operator.create_run(session.id, "http-healthcheck", URL)
    ended = await operator.cancel_run(run.id, "not needed")
    assert (ended.status, ended.reason, ended.is_live) == ("cancelled", "cancelled_by_person", False)
    retried = await operator.retry_run(run.id)
    assert (retried.retry_of, retried.attempt) == (run.id, 2)
    assert (await operator.retry_run(run.id)).id == retried.id
    again = await operator.rerun(run.id, params={"url": "https://example.org/other"}, lane="D")
    assert (again.rerun_of, again.lane, again.params["url"]) == (run.id, "D", "https://example.org/other")


async def test_the_same_idempotency_key_gives_the_same_run(operator: ControlPlane, session: Session) -> None:
    first, second = await asyncio.gather(
        *(operator.create_run(session.id, "http-healthcheck", URL, idempotency_key=f"same-{session.id}") for _ in "12")
    )
    assert first.id == second.id
    with pytest.raises(errors.IdempotencyConflict):
        await operator.create_run(session.id, "http-healthcheck", URL, lane="C", idempotency_key=f"same-{session.id}")


async def test_runs_are_filtered_and_found_by_the_first_digits_of_their_id(
    operator: ControlPlane, session: Session
) -> None:
    first = await operator.create_run(session.id, "http-healthcheck", URL)
    second = await operator.create_run(session.id, "spec-kit-validate", {"repository": ".", "slug": "x"}, lane="C")
    await operator.cancel_run(first.id)
    mine = RunFilter(session_id=session.id)
    assert [run.id for run in await operator.runs(mine)] == [second.id, first.id]
    found = await operator.runs(RunFilter(session_id=session.id, statuses=["cancelled", "failed"]))
    assert [run.id for run in found] == [first.id]
    assert [r.id for r in await operator.runs(RunFilter(session_id=session.id, lane="C"))] == [second.id]
    assert [r.id for r in await operator.runs(RunFilter(session_id=session.id, template="spec-kit-validate"))] == [
        second.id
    ]
    assert second.id in {run.id for run in await operator.runs(RunFilter(id_prefix=second.id[:10].upper()))}
    with pytest.raises(errors.InvalidArgument):
        await operator.runs(RunFilter(id_prefix="12345"))


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"template": "no-such"}, errors.TemplateNotFound, None),
        ({"params": {}}, errors.InvalidParams, ("/url", "required")),
        ({"params": {**URL, "extra": 1}}, errors.InvalidParams, ("/extra", "additional")),
        ({"params": {**URL, "timeout_seconds": "5"}}, errors.InvalidParams, ("/timeout_seconds", "type")),
        ({"params": {"url": "https://example.org/\x00"}}, errors.InvalidArgument, None),
        ({"params": {"url": "x" * 1_000_000}}, errors.InvalidParams, ("", "too_large")),
        ({"lane": "E"}, errors.InvalidArgument, None),
        ({"priority": 101}, errors.InvalidArgument, None),
        ({"title": "x" * 121}, errors.InvalidArgument, None),
        ({"session_id": "00000000-0000-4000-8000-000000000000"}, errors.SessionNotFound, None),
        ({"session_id": "not-an-id"}, errors.InvalidArgument, None),
    ],
)
async def test_bad_input_is_refused_with_its_own_error_and_stores_nothing(
    operator: ControlPlane,
    session: Session,
    change: dict[str, object],
    error: type[errors.OpsRoomError],
    field: tuple[str, str] | None,
) -> None:
    arguments: dict[str, object] = {"session_id": session.id, "template": "http-healthcheck", "params": URL} | change
    with pytest.raises(error) as caught:
        await operator.create_run(**arguments)  # type: ignore[arg-type]
    assert caught.value.message
    if field:
        assert field in [(item.path, item.code) for item in caught.value.fields]
    assert await operator.runs(RunFilter(session_id=session.id)) == ()


async def test_ten_megabytes_of_params_are_refused(operator: ControlPlane, session: Session) -> None:
    with pytest.raises((errors.InvalidParams, errors.InvalidArgument)):
        await operator.create_run(session.id, "http-healthcheck", {"url": "x" * 10_000_000})
    assert await operator.runs(RunFilter(session_id=session.id)) == ()


async def test_a_viewer_may_look_but_not_launch(viewer: ControlPlane, session: Session) -> None:
    assert (await viewer.read_board(session.id)).session.id == session.id
    with pytest.raises(errors.Forbidden, match="operator"):
        await viewer.create_run(session.id, "http-healthcheck", URL)


async def test_somebody_without_a_role_sees_nothing(gateway: Gateway, session: Session) -> None:
    async with gateway.room(await gateway.person(None)) as stranger:
        with pytest.raises(errors.NotAMember):
            await stranger.read_board(session.id)
        with pytest.raises(errors.NotAMember):
            await stranger.runs()
        assert await stranger.members() == ()


async def test_only_an_admin_sets_members(admin: ControlPlane, operator: ControlPlane, gateway: Gateway) -> None:
    newcomer = await gateway.person(None)
    with pytest.raises(errors.Forbidden):
        await operator.set_member(newcomer.email, "admin")
    assert (await admin.set_member(newcomer.email, "approver")).role == "approver"
    assert newcomer.email in {member.email for member in await operator.members()}
    assert (await admin.set_member(newcomer.email, None)).disabled_at is not None
    with pytest.raises(errors.MemberNotFound):
        await admin.set_member("nobody@example.org", "viewer")


async def test_a_template_is_saved_once_and_can_be_disabled(
    admin: ControlPlane, operator: ControlPlane, session: Session
) -> None:
    spec = {
        "slug": f"t-{session.id[:8]}",
        "title": "Say hello",
        "steps": [{"id": "hello", "title": "Hello", "kind": "shell", "with": {"argv": ["echo", "hello"]}}],
    }
    with pytest.raises(errors.Forbidden):
        await operator.save_template(spec)
    saved = await admin.save_template(spec)
    assert (saved.slug, saved.version) == (spec["slug"], 1)
    assert (await admin.save_template(spec)).version == 1
    assert (await admin.save_template({**spec, "title": "Say hello again"})).version == 2
    with pytest.raises(errors.InvalidTemplate) as caught:
        await admin.save_template({**spec, "steps": []})
    assert caught.value.fields
    await admin.set_template_enabled(saved.slug, False)
    with pytest.raises(errors.TemplateDisabled):
        await operator.create_run(session.id, saved.slug, {})


async def test_a_session_is_archived_and_reopened(operator: ControlPlane, session: Session) -> None:
    assert (await operator.archive_session(session.id)).archived_at
    assert session.id in {item.id for item in await operator.list_sessions(archived=True)}
    with pytest.raises(errors.SessionArchived):
        await operator.create_run(session.id, "http-healthcheck", URL)
    assert (await operator.reopen_session(session.id)).archived_at is None


async def test_a_wrong_password_is_refused_in_words(gateway: Gateway) -> None:
    person = await gateway.person("viewer")
    async with open_http() as http:
        with pytest.raises(errors.NotAuthenticated, match="wrong"):
            await Auth(gateway.connection, http).sign_in(person.email, "not it")


async def test_an_expired_token_is_renewed_once_for_all_who_wait(gateway: Gateway) -> None:
    person = await gateway.person("viewer")
    renewals: list[Tokens] = []
    async with open_http() as http:
        auth = Auth(gateway.connection, http)
        good = await auth.sign_in(person.email, person.password)
        stale = good.model_copy(update={"access_token": "sure.ly.not", "expires_at": 0.0})

        async def save(tokens: Tokens) -> None:
            renewals.append(tokens)

        room = ControlPlane(gateway.connection, Credentials(auth, stale, save=save), http)
        answers = await asyncio.gather(*(room.whoami() for _ in range(5)))
        assert {answer.email for answer in answers} == {person.email}
        assert len(renewals) == 1


async def test_a_token_the_server_refuses_is_renewed_and_the_call_repeated(gateway: Gateway) -> None:
    person = await gateway.person("viewer")
    async with open_http() as http:
        auth = Auth(gateway.connection, http)
        good = await auth.sign_in(person.email, person.password)
        broken = good.model_copy(update={"access_token": good.access_token[:-6] + "AAAAAA"})
        room = ControlPlane(gateway.connection, Credentials(auth, broken), http)
        assert (await room.whoami()).email == person.email


async def test_a_sign_in_that_has_ended_says_so(gateway: Gateway) -> None:
    person = await gateway.person("viewer")
    async with open_http() as http:
        auth = Auth(gateway.connection, http)
        tokens = await auth.sign_in(person.email, person.password)
        await auth.sign_out(tokens.access_token)
        await auth.sign_out(tokens.access_token)
        over = tokens.model_copy(update={"expires_at": 0.0})
        with pytest.raises(errors.NotAuthenticated):
            await ControlPlane(gateway.connection, Credentials(auth, over), http).whoami()


async def test_nobody_there_is_one_typed_error(gateway: Gateway, operator: ControlPlane) -> None:
    nowhere = Connection("http://127.0.0.1:9", "key")
    async with open_http() as http:
        with pytest.raises(ControlPlaneUnreachable, match="cannot be reached"):
            await ControlPlane(nowhere, operator.credentials, http).whoami()
        with pytest.raises(ControlPlaneUnreachable):
            await Auth(nowhere, http).sign_in("a@example.org", "b")


async def test_a_database_that_cuts_its_connections_is_unreachable_and_then_back(
    gateway: Gateway, operator: ControlPlane
) -> None:
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'"
    async with await psycopg.AsyncConnection.connect(
        gateway.stack.database_url("supabase_admin"), autocommit=True
    ) as database:
        for _ in range(3):
            asking = [asyncio.create_task(operator.list_sessions()) for _ in range(4)]
            await database.execute(cut)
            for outcome in await asyncio.gather(*asking, return_exceptions=True):
                assert isinstance(outcome, (tuple, ControlPlaneUnreachable)), repr(outcome)
    async with asyncio.timeout(10):
        while True:
            try:
                await operator.list_sessions()
                break
            except ControlPlaneUnreachable:
                await asyncio.sleep(0.05)


async def test_tokens_do_not_print_themselves(operator: ControlPlane) -> None:
    tokens = operator.credentials.tokens
    assert tokens.access_token not in f"{tokens} {tokens!r}"
