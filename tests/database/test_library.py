"""Templates and bundles that several people edit, and the room's last admin."""

import asyncio
from typing import Any

import psycopg
import pytest

from opsroom.domain.errors import InvalidTemplate
from opsroom.domain.spec_kit import generate_bundle
from opsroom.domain.template import parse
from tests.database.conftest import TEMPLATE, Person, Room


async def refused(person: Person, function: str, **args: Any) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as error:
        await person.call(function, **args)
    return error.value


async def test_a_save_on_top_of_an_old_version_is_refused_and_a_replay_is_not(room: Room) -> None:
    ada, bob = await room.person("admin"), await room.person("admin")
    spec = TEMPLATE | {"slug": "shared", "title": "One"}
    assert (await ada.call("save_template", p_spec=spec, p_base_version=0))["version"] == 1
    assert (await refused(bob, "save_template", p_spec=spec | {"title": "Mine"}, p_base_version=0)).sqlstate == "ORC10"
    two = spec | {"title": "Two"}
    assert (await ada.call("save_template", p_spec=two, p_base_version=1))["version"] == 2
    assert (await ada.call("save_template", p_spec=two, p_base_version=1))["version"] == 2
    error = await refused(bob, "save_template", p_spec=spec | {"title": "Other"}, p_base_version=1)
    assert error.sqlstate == "ORC10"
    assert ada.email in str(error)
    assert [v["version"] for v in await bob.call("list_template_versions", p_slug="shared")] == [2, 1]
    assert (await bob.call("save_template", p_spec=spec | {"title": "Other"}))["version"] == 3


async def test_of_many_who_save_at_once_one_wins(room: Room) -> None:
    people = [await room.person("admin") for _ in range(4)]
    saves = (
        p.call("save_template", p_spec=TEMPLATE | {"slug": "rush", "title": f"By {i}"}, p_base_version=0)
        for i, p in enumerate(people)
    )
    answers = await asyncio.gather(*saves, return_exceptions=True)
    assert sorted(getattr(a, "sqlstate", "") for a in answers) == ["", "ORC10", "ORC10", "ORC10"]
    assert await room.value("select count(*) from public.template_versions where slug = 'rush'") == 1


async def test_a_check_says_what_a_save_would_and_stores_nothing(room: Room) -> None:
    viewer, admin = await room.person("viewer"), await room.person("admin")
    saved = await admin.call("save_template", p_spec=TEMPLATE | {"slug": "checked"})
    before = await room.value("select count(*) from public.template_versions")
    same = await viewer.call("validate_template", p_spec=TEMPLATE | {"slug": "checked"})
    assert (same["valid"], same["unchanged"], same["newest"], same["digest"]) == (True, True, 1, saved["digest"])
    fresh = await viewer.call("validate_template", p_spec=TEMPLATE | {"slug": "fresh"})
    assert (fresh["valid"], fresh["unchanged"], fresh["newest"]) == (True, False, None)
    other = await viewer.call("validate_template", p_spec=TEMPLATE | {"slug": "checked", "title": "Else"})
    assert (other["valid"], other["unchanged"], other["newest"]) == (True, False, 1)
    steps = [{"id": "a", "title": "A", "kind": "noop", "needs": ["b"]}]
    for wrong in (TEMPLATE | {"steps": steps}, TEMPLATE | {"slug": "Not A Slug"}, TEMPLATE | {"more": 1}, []):
        verdict = await viewer.call("validate_template", p_spec=wrong)
        assert not verdict["valid"] and verdict["errors"] and verdict["digest"] is None
    assert await room.value("select count(*) from public.template_versions") == before


async def test_the_list_tells_how_much_a_template_was_used(room: Room) -> None:
    operator, admin = await room.person("operator"), await room.person("admin")
    await room.clear_queue()
    await admin.call("save_template", p_spec=TEMPLATE | {"slug": "used"})
    worker = await room.worker()
    session = await operator.call("create_session", p_title="Use")
    for _ in range(2):
        await operator.call("create_run", p_session_id=session["id"], p_template="used", p_params={"name": "ada"})
        (claim,) = await worker.claim()
        await worker.succeed(claim)
    found = {item["slug"]: item for item in await operator.call("list_templates")}
    assert (found["used"]["runs_30d"], found["used"]["failed_30d"]) == (2, 0)
    assert found["used"]["last_used_at"]
    assert all(item["runs_30d"] == 0 for slug, item in found.items() if slug in ("shared", "rush", "checked"))


async def test_a_bundle_is_kept_whole_version_by_version(room: Room) -> None:
    ada, bob, viewer = await room.person("operator"), await room.person("operator"), await room.person("viewer")
    files = dict(generate_bundle("Billing export", "Exports invoices.", ["Export every night"]))
    first = await ada.call("save_spec", p_slug="billing-export", p_files=files, p_base_version=0)
    assert (first["version"], first["files"]) == (1, files)
    assert (await ada.call("save_spec", p_slug="billing-export", p_files=files, p_base_version=0))["version"] == 1
    changed = files | {"plan.md": files["plan.md"] + "\nMore.\n"}
    assert (
        await refused(bob, "save_spec", p_slug="billing-export", p_files=changed, p_base_version=0)
    ).sqlstate == "ORC10"
    assert (await bob.call("save_spec", p_slug="billing-export", p_files=changed, p_base_version=1))["version"] == 2
    assert (await viewer.call("read_spec", p_slug="billing-export"))["files"]["plan.md"] == changed["plan.md"]
    assert (await viewer.call("read_spec", p_slug="billing-export", p_version=1))["files"] == files
    assert [s["version"] for s in await viewer.call("list_specs") if s["slug"] == "billing-export"] == [2]
    assert (await refused(viewer, "read_spec", p_slug="billing-export", p_version=9)).sqlstate == "ORN06"


@pytest.mark.parametrize("wrong", [{"prd.md": "x"}, {}, [], {"a": "x", "b": "x", "c": "x", "d": "x"}, {"constitution.md": 1, "plan.md": "x", "prd.md": "x", "tasks.md": "x"}, {"constitution.md": "x" * 262_145, "plan.md": "x", "prd.md": "x", "tasks.md": "x"}, {"constitution.md": "\0", "plan.md": "x", "prd.md": "x", "tasks.md": "x"}])  # fmt: skip
async def test_half_a_bundle_is_refused(room: Room, wrong: Any) -> None:
    operator = await room.person("operator")
    assert (await refused(operator, "save_spec", p_slug="half", p_files=wrong)).sqlstate == "ORV02"
    assert await room.value("select count(*) from public.spec_docs where slug = 'half'") == 0


async def test_the_last_admin_stays(room: Room) -> None:
    await room.owner.execute("update public.members set role = 'viewer' where role = 'admin'")
    ada, bob = await room.person("admin"), await room.person("admin")
    answers = await asyncio.gather(
        ada.call("set_member", p_email=bob.email, p_role="viewer"),
        bob.call("set_member", p_email=ada.email, p_role=None),
        return_exceptions=True,
    )
    first, second = sorted(getattr(answer, "sqlstate", "") for answer in answers)
    assert (first, second) in {("", "ORA02"), ("", "ORA03")}  # whose role is gone may not take away the other's
    assert await room.value("select count(*) from public.members where role = 'admin' and disabled_at is null") == 1
    left = await room.value("select email from public.members where role = 'admin' and disabled_at is null")
    for role in ("operator", None):
        with pytest.raises(psycopg.Error) as error:
            await room.owner.execute("select public.set_member(%s, %s)", (left, role))
        assert error.value.sqlstate == "ORC11"


async def test_setup_names_the_newest_migration(room: Room) -> None:
    viewer = await room.person("viewer")
    setup = await viewer.call("read_setup")
    assert setup["migration"] == await room.value("select max(version) from supabase_migrations.schema_migrations")
    assert setup["templates"] > 0


NAMES = {"type": "string", "format": "secret-ref"}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (NAMES | {"default": "s3cr3t-value"}, "/params/properties/key/default"),
        (NAMES | {"enum": ["RIGHT_NAME", "wrong"]}, "/params/properties/key/enum"),
        (NAMES | {"const": "not a name"}, "/params/properties/key/const"),
        (NAMES | {"examples": ["sk-live-123"]}, "/params/properties/key/examples"),
        (NAMES | {"default": "GOOD\n"}, "/params/properties/key/default"),
        ({"format": "secret-ref"}, "/params/properties/key/type"),
        ({"type": "integer", "format": "secret-ref", "default": 123456}, "/params/properties/key/type"),
        ({"type": "array", "items": {"format": "secret-ref"}}, "/params/properties/key/items/type"),
        ({"type": "array", "items": NAMES | {"default": "x"}}, "/params/properties/key/items/default"),
    ],
)
async def test_a_template_proposes_names_of_secrets_only(room: Room, schema: dict[str, Any], path: str) -> None:
    spec = TEMPLATE | {"slug": "proposes", "params": {"properties": {"key": schema}}}
    error = await refused(await room.person("admin"), "save_template", p_spec=spec)
    assert error.sqlstate == "ORV03"
    assert path in str(error.diag.message_detail)
    with pytest.raises(InvalidTemplate) as known_before:
        parse(spec)
    assert path in [field.path for field in known_before.value.fields]


@pytest.mark.parametrize(
    "value",
    ["s3cr3t-value", "lower", "1NAME", "_NAME", "", "A" * 64, "NAME\n", "{{ secrets.NAME }}", 12345, ["NAME"], None],
)
async def test_a_secret_param_takes_the_name_of_a_secret_and_no_value(room: Room, value: Any) -> None:
    admin = await room.person("admin")
    await admin.call("save_template", p_spec=TEMPLATE | {"slug": "takes", "params": {"properties": {"key": NAMES}}})
    session = await admin.call("create_session", p_title="Secrets")
    given = {"p_session_id": session["id"], "p_template": "takes"}
    error = await refused(admin, "create_run", **given, p_params={"key": value})
    assert error.sqlstate == "ORV01"
    if isinstance(value, str) and len(value) > 5:
        assert value.strip() not in f"{error} {error.diag.message_detail}", "what may be a secret is not said again"
    run = await admin.call("create_run", **given, p_params={"key": "RIGHT_NAME"})
    assert (await refused(admin, "rerun", p_run_id=run["id"], p_params={"key": value})).sqlstate == "ORV01"
