"""Tabs without a browser: connections that the room's server takes for tabs of a board, for asking what many of them
cost it. Browsers of many people run on their own machines; fifty of them on this one would measure the browser.

A real tab's first message is recorded and sent again by each connection under a tab's name of its own, so that the
server loads the page for it and sends it every change.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import Page, WebSocket
from websockets.asyncio.client import ClientConnection, connect

READY = '"phase_rx_state_":"ready"'
LARGEST_MESSAGE = 8 * 1024 * 1024


@dataclass
class Recording:
    """What a tab said to the server when it opened a board."""

    url: str = ""
    hello: str = ""
    cookie: str = ""


@dataclass
class Tabs:
    """Open connections, and how many bytes came in over all of them."""

    recording: Recording
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    received: int = 0

    async def open(self, count: int) -> None:
        """Open more; returns when the board of each was sent to it."""
        for _ in range(count):
            shown = asyncio.Event()
            self.tasks.append(asyncio.create_task(self._tab(shown)))
            await asyncio.wait_for(shown.wait(), 30)

    async def _tab(self, shown: asyncio.Event) -> None:
        url = re.sub(r"token=[^&]*", f"token={uuid.uuid4()}", self.recording.url)
        headers = {"Cookie": self.recording.cookie, "Origin": re.sub(r"^ws(s?://[^/]+).*", r"http\1", url)}
        async with connect(url, additional_headers=headers, max_size=LARGEST_MESSAGE) as socket:
            await self._listen(socket, shown)

    async def _listen(self, socket: ClientConnection, shown: asyncio.Event) -> None:
        async for message in socket:
            text = message if isinstance(message, str) else message.decode()
            self.received += len(text)
            if text.startswith("0"):  # the server has opened the transport
                await socket.send(self.recording.hello)
            elif text == "2":  # a ping of Engine.IO
                await socket.send("3")
            elif not shown.is_set() and READY in text:
                shown.set()


async def record(page: Page, address: str) -> Recording:
    """Open a board in a real tab and keep what it says first."""
    recording = Recording()

    def listen(socket: WebSocket) -> None:
        def sent(message: str | bytes) -> None:
            if isinstance(message, str) and message.startswith("40/_event,{"):
                recording.url, recording.hello = socket.url, message

        socket.on("framesent", sent)

    page.on("websocket", listen)
    await page.goto(address)
    await page.locator("[data-feed=live]").wait_for()
    page.remove_listener("websocket", listen)
    cookies = await page.context.cookies()
    recording.cookie = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies)  # pyright: ignore[reportTypedDictNotRequiredAccess]
    assert recording.hello, "the tab opened no socket"
    return recording


@asynccontextmanager
async def open_tabs(recording: Recording) -> AsyncIterator[Tabs]:
    """Tabs like the recorded one, none at first."""
    tabs = Tabs(recording)
    try:
        yield tabs
    finally:
        for task in tabs.tasks:
            task.cancel()
        await asyncio.gather(*tabs.tasks, return_exceptions=True)
