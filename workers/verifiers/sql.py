"""sql: one query in a read-only transaction on a Postgres database that a secret names."""

import json
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.types.json import Jsonb
from pydantic import Field, JsonValue

from workers.steps.context import StepContext
from workers.steps.inputs import Inputs, read_inputs
from workers.verifiers.finding import Finding

MOST_ROWS = 10_000


class Expectation(Inputs):
    """All that is given must hold. `value` is the first column of the first row; what JSON does not know, as text."""

    rows: int | None = Field(default=None, ge=0)
    min_rows: int | None = Field(default=None, ge=0)
    value: JsonValue = None


class SqlVerifierInputs(Inputs):
    connection: str = Field(pattern=r"^postgres(ql)?://")
    sql: str = Field(min_length=1)
    params: tuple[Any, ...] = ()
    expect: Expectation = Expectation(min_rows=1)


async def verify(context: StepContext) -> Finding:
    """Passes when the query's rows are as expected; without `expect`, when there is one."""
    inputs = read_inputs(SqlVerifierInputs, context.inputs)
    expect = inputs.expect
    expected: dict[str, JsonValue] = {"sql": inputs.sql, **expect.model_dump(exclude_unset=True)}
    if not expect.model_fields_set:
        expected["min_rows"] = 1
    values = [Jsonb(value) if isinstance(value, (dict, list)) else value for value in inputs.params]
    try:
        async with await AsyncConnection[Any].connect(
            inputs.connection, connect_timeout=10, application_name="opsroom-verifier", prepare_threshold=None
        ) as connection:
            await connection.set_read_only(True)
            async with AsyncRawCursor(connection) as cursor:
                await cursor.execute(inputs.sql.encode(), values or None)
                rows = await cursor.fetchmany(MOST_ROWS) if cursor.description else []
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip() or type(error).__name__
        return Finding(False, expected, {"error": said}, "the query failed")
    value = _as_json(rows[0][0]) if rows and rows[0] else None
    wanted = "value" in expect.model_fields_set
    passed = (
        (expect.rows is None or len(rows) == expect.rows)
        and (expect.min_rows is None or len(rows) >= expect.min_rows)
        and (not wanted or value == expect.value)
    )
    return Finding(passed, expected, {"rows": len(rows), **({"value": value} if wanted else {})})


def _as_json(value: Any) -> JsonValue:
    return json.loads(json.dumps(value, default=str))
