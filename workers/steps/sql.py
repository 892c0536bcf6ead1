"""sql: statements on a Postgres database that a secret names, all in one transaction."""

from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.types.json import Jsonb
from pydantic import Field

from workers.steps.context import Outcome, StepContext, StepFailed
from workers.steps.inputs import Inputs, read_inputs
from workers.steps.results import write_result


class Statement(Inputs):
    """`params` are bound by the server, as $1, $2…"""

    sql: str = Field(min_length=1)
    params: tuple[Any, ...] = ()


class SqlInputs(Inputs):
    connection: str = Field(pattern=r"^postgres(ql)?://")
    statements: tuple[Statement, ...] = Field(min_length=1)
    fetch: int = Field(default=1000, ge=0, le=100_000)
    """At most so many rows of each statement are kept."""


async def run(context: StepContext) -> Outcome:
    """Succeeds when every statement does; the rows are in `<step>.json`, a list of one result per statement."""
    inputs = read_inputs(SqlInputs, context.inputs)
    results: list[dict[str, Any]] = []
    try:
        # Leaving the block commits; an error or a cancellation rolls everything back.
        async with await AsyncConnection[Any].connect(
            inputs.connection, connect_timeout=10, application_name="opsroom-step", prepare_threshold=None
        ) as connection:
            for number, statement in enumerate(inputs.statements, start=1):
                results.append(await _execute(connection, statement, inputs.fetch))
                await context.log(f"statement {number}: {results[-1]['status']}")
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip() or type(error).__name__
        hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
        raise StepFailed(f"statement {len(results) + 1} failed: {said}{hint}") from error
    await write_result(context.workdir, context.step_id, results)
    return Outcome("succeeded", f"{len(results)} statement(s) committed", 0)


async def _execute(connection: AsyncConnection[Any], statement: Statement, fetch: int) -> dict[str, Any]:
    values = [Jsonb(value) if isinstance(value, (dict, list)) else value for value in statement.params]
    async with AsyncRawCursor(connection) as cursor:
        await cursor.execute(statement.sql.encode(), values or None)
        result: dict[str, Any] = {"status": cursor.statusmessage, "row_count": cursor.rowcount}
        if cursor.description is not None:
            columns = [column.name for column in cursor.description]
            rows = await cursor.fetchmany(fetch) if fetch else []
            result |= {
                "rows": [dict(zip(columns, row, strict=True)) for row in rows],
                "complete": len(rows) == cursor.rowcount,
            }
        return result
