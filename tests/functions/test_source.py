"""The function's source: strict types, lint, format, its own unit tests, and one vocabulary with the Python domain."""

import json

from opsroom.domain.errors import BY_SQLSTATE
from opsroom.local.paths import REPOSITORY
from tests.functions.deno import CONFIG, FUNCTION, TEST_LOCK, TESTS, deno


async def test_the_source_is_strictly_typed_linted_and_formatted() -> None:
    sources = [str(path) for path in sorted(FUNCTION.glob("*.ts"))]
    tests = [str(path) for path in sorted(TESTS.glob("*.ts"))]
    await deno("check", *CONFIG, "--frozen", *sources)
    await deno("check", *CONFIG, *TEST_LOCK, *tests)
    await deno("lint", *CONFIG, *sources, *tests)
    await deno("fmt", "--check", *CONFIG, *sources, *tests)


async def test_the_unit_tests_pass() -> None:
    output = await deno("test", *CONFIG, *TEST_LOCK, str(TESTS))
    assert " 0 failed" in output


async def test_every_dependency_is_pinned_and_comes_from_npm() -> None:
    imports: dict[str, str] = json.loads((FUNCTION / "deno.json").read_text())["imports"]
    assert imports
    for specifier in imports.values():
        assert specifier.startswith("npm:")
        assert specifier.rpartition("@")[2][0].isdigit(), f"{specifier} is not pinned to a version"


async def test_sqlstates_codes_and_statuses_are_those_of_the_domain() -> None:
    script = (
        f'import {{ PROBLEMS, SQLSTATES }} from "{(FUNCTION / "problem.ts").as_uri()}";'
        "console.log(JSON.stringify({ PROBLEMS, SQLSTATES }));"
    )
    tables = json.loads(await deno("run", *CONFIG, "--no-lock", "-", stdin=script))
    domain = {sqlstate: error.code for sqlstate, error in BY_SQLSTATE.items()}
    assert {state: code for state, code in tables["SQLSTATES"].items() if state.startswith("OR")} == domain
    for error in BY_SQLSTATE.values():
        assert tables["PROBLEMS"][error.code]["status"] == error.status


async def test_the_documentation_names_every_operation_and_every_code() -> None:
    script = (
        f'import {{ PROBLEMS }} from "{(FUNCTION / "problem.ts").as_uri()}";'
        f'import {{ OPERATIONS }} from "{(FUNCTION / "operations.ts").as_uri()}";'
        "console.log(JSON.stringify([...Object.keys(PROBLEMS), ...Object.keys(OPERATIONS)]));"
    )
    names: list[str] = json.loads(await deno("run", *CONFIG, "--no-lock", "-", stdin=script))
    documentation = (REPOSITORY / "docs" / "api.md").read_text()
    assert [name for name in names if f"`{name}`" not in documentation] == []
