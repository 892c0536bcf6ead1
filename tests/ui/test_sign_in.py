"""Signing in and out, and what never reaches the browser."""

import json
import re

import httpx
import pytest
from playwright.async_api import Browser, Page, WebSocket, expect

from opsroom.local.environment import LOCAL_EMAIL
from opsroom.room.server import back
from opsroom.room.sign_ins import COOKIE
from tests.support.room import Room, enter, visitor


async def test_a_wrong_password_is_refused_and_said(room: Room, chromium: Browser) -> None:
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        await page.goto("/sign-in")
        await page.get_by_label("E-mail").fill(LOCAL_EMAIL)
        await page.get_by_label("Password").fill("wrong")
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("E-mail or password is wrong.")
        assert not await context.cookies()


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(room: Room, chromium: Browser) -> None:
    async with visitor(chromium, room) as context:
        page = await context.new_page()
        await page.goto("/runs/00000000-0000-4000-8000-000000000000")
        await page.wait_for_url(re.compile("/sign-in"))
        await page.get_by_role("button", name="Continue as local operator").click()
        await page.wait_for_url("**/runs/00000000-0000-4000-8000-000000000000")


async def test_the_cookie_is_kept_from_scripts_and_no_token_reaches_the_browser(room: Room, chromium: Browser) -> None:
    heard: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: heard.append(str(frame)))

    async with visitor(chromium, room) as context:
        page = await context.new_page()
        page.on("websocket", listen)
        await enter(page)
        await expect(page.locator("[data-feed=live]")).to_be_visible()
        cookie = next(item for item in await context.cookies() if item.get("name") == COOKIE)
        assert cookie.get("httpOnly")
        assert cookie.get("sameSite") == "Lax"
        said = "".join(heard) + await page.content()
        said += json.dumps(await page.evaluate("({...localStorage, ...sessionStorage, cookie: document.cookie})"))
    assert heard
    assert "eyJ" not in said, "a JWT reached the browser"
    assert str(cookie.get("value")) not in said
    assert room.gateway.stack.secrets.operator not in said


async def test_sign_out_ends_the_other_tabs_too(room: Room, chromium: Browser) -> None:
    async with visitor(chromium, room) as context:
        page, other = await context.new_page(), await context.new_page()
        await enter(page)
        await other.goto("/")
        await expect(other.locator(".topbar")).to_be_visible()
        await page.get_by_role("button", name="Account").click()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_text("You are signed out.")).to_be_visible()
        await expect(other).to_have_url(re.compile("/sign-in"), timeout=20_000)


async def test_a_form_from_elsewhere_is_refused(room: Room) -> None:
    async with httpx.AsyncClient(base_url=room.url) as http:
        for origin in ("https://evil.example", "null", ""):
            headers = {"Origin": origin} if origin else {}
            for path in ("/auth/sign-in", "/auth/sign-out"):
                answer = await http.post(path, data={"local": "1"}, headers=headers)
                assert answer.status_code == 403
                assert "set-cookie" not in answer.headers


async def test_endpoints_refuse_who_is_not_signed_in(room: Room) -> None:
    run = "00000000-0000-4000-8000-000000000000"
    async with httpx.AsyncClient(base_url=room.url) as http:
        for path in (f"/api/runs/{run}/log", f"/api/runs/{run}/artifacts/{run}"):
            answer = await http.get(path, headers={"Cookie": f"{COOKIE}=guess"})
            assert answer.status_code == 401
            assert answer.json()["code"] == "not_authenticated"


async def test_an_event_from_a_bare_socket_does_nothing(room: Room, page: Page) -> None:
    """Any event handler can be called from any page: without a sign-in of its own it must not act."""
    await page.get_by_role("button", name="New", exact=True).click()
    await page.get_by_label("Title").fill("Must never be")
    await page.context.clear_cookies()
    await page.goto("/sign-in")
    name = "reflex___state____state.opsroom___pages___board____board_state.create"
    async with page.expect_websocket() as caught:
        await page.reload()
    socket = await caught.value
    await page.evaluate(
        """async (event) => {
            const { io } = window;
            const url = new URL("/_event/", location.origin.replace("http", "ws"));
            url.search = "?token=11111111-1111-4111-8111-111111111111&EIO=4&transport=websocket";
            await new Promise((done) => {
              const ws = new WebSocket(url);
              ws.onmessage = (message) => {
                if (message.data.startsWith("0")) ws.send("40/_event,");
                else if (message.data.startsWith("40")) {
                  ws.send("42/_event," + JSON.stringify(["event", event]));
                } else if (message.data.startsWith("42")) done();
              };
            });
        }""",
        {"name": name, "payload": {"form": {"title": "Must never be", "intent": ""}}, "router_data": {"pathname": "/"}},
    )
    assert socket.url
    async with httpx.AsyncClient(base_url=room.gateway.url) as http:
        key = room.gateway.stack.secrets.service_role_key
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        rows = (await http.get("/rest/v1/sessions?title=eq.Must never be", headers=headers)).json()
    assert rows == []


async def test_the_socket_refuses_other_origins(room: Room) -> None:
    query = "EIO=4&transport=websocket&token=x"
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with httpx.AsyncClient(base_url=room.url) as http:
        answer = await http.get(f"/_event/?{query}", headers={**upgrade, "Origin": "https://evil.example"})
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/sessions/1?x=2", "/sessions/1?x=2"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        (None, "/"),
    ],
)
def test_the_way_back_stays_in_the_room(given: str | None, expected: str) -> None:
    assert back(given) == expected
