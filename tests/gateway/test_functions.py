"""Edge Functions through the unmodified supabase-py."""

from __future__ import annotations

import pytest
from supabase_functions.errors import FunctionsHttpError

from tests.gateway.project import Person, Project


async def test_a_function_is_invoked_by_name(ada: Person) -> None:
    answer = await ada.client.functions.invoke("ops-executor/v1/health", {"method": "GET", "responseType": "json"})
    assert answer["status"] == "ok"  # type: ignore[index,call-overload]


async def test_an_unknown_function_is_404(project: Project, ada: Person) -> None:
    answer = await project.http.post("/functions/v1/nothing-here", json={}, headers=project.headers(ada.token))
    assert answer.status_code == 404
    with pytest.raises(FunctionsHttpError):
        await ada.client.functions.invoke("nothing-here")


async def test_a_path_that_is_no_address_is_404(project: Project, ada: Person) -> None:
    for path in ("/functions/v1/ops-executor/%00", "/functions/v1/ops-executor/v1/%0a"):
        answer = await project.http.get(path, headers=project.headers(ada.token))
        assert answer.status_code == 404
