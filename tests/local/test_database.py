"""The embedded database looks like a hosted project's to migrations and clients."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.stack import Stack


async def test_every_login_role_connects_and_only_the_admin_is_superuser(stack: Stack) -> None:
    for role in ("supabase_admin", "postgres", "authenticator", "worker"):
        async with await psycopg.AsyncConnection.connect(stack.database_url(role)) as connection:
            row = await (
                await connection.execute("select rolsuper from pg_roles where rolname = current_user")
            ).fetchone()
            assert row == (role == "supabase_admin",), role


async def test_the_worker_login_can_become_service_role_and_nothing_else(stack: Stack) -> None:
    async with await psycopg.AsyncConnection.connect(stack.database_url("worker"), autocommit=True) as connection:
        await connection.execute("set role service_role")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("set role postgres")


async def test_objects_made_by_postgres_are_granted_to_the_api_roles_as_on_a_hosted_project(stack: Stack) -> None:
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres")) as connection:
        await connection.execute("create table public.grants_probe (id int)")
        row = await (
            await connection.execute("select has_table_privilege('anon', 'public.grants_probe', 'insert')")
        ).fetchone()
        assert row == (True,)
        await connection.rollback()


async def test_postgres_may_write_policies_on_storage_and_realtime(stack: Stack) -> None:
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres")) as connection:
        await connection.execute("create policy p on storage.objects for select to authenticated using (true)")
        await connection.execute("create policy p on realtime.messages for select to authenticated using (true)")
        await connection.rollback()


async def test_a_wrong_password_is_refused(stack: Stack) -> None:
    url = stack.database_url("postgres").replace(stack.secrets.postgres, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await psycopg.AsyncConnection.connect(url)
