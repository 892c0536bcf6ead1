import asyncio, os, json
from pathlib import Path
import psycopg, pytest
from types import SimpleNamespace
from bench.history import load_history
from tests.support.room import visitor, enter
from tests.ui.conftest import operator_room

OUT = Path("/tmp/h/u4lab/shots")
OUT.mkdir(exist_ok=True)
PAGES = os.environ.get("LAB", "runs").split(",")


async def test_lab(room, worker, chromium, upgrade):
    stack = room.gateway.stack
    async with operator_room(room) as plane:
        me = plane.credentials.tokens.user_id
        db = SimpleNamespace(postgres=stack.postgres, user_id=me)
        conn = await psycopg.AsyncConnection.connect(stack.database_url("authenticator"), autocommit=True)
        await conn.execute("set role authenticated")
        await conn.execute(
            "select set_config('request.jwt.claims', %s, false)", (json.dumps({"sub": me, "role": "authenticated"}),)
        )
        w = await psycopg.AsyncConnection.connect(stack.database_url("worker"), autocommit=True)
        await w.execute("set role service_role")
        import uuid

        for i, (v, t, c) in enumerate((("0.1.0", "postgres", 8), ("0.2.0", "https", 4), ("0.1.0", "postgres", 8))):
            wid = str(uuid.uuid4())
            await w.execute(
                "select public.register_worker(%s,%s,%s,%s,%s,%s,%s)",
                (wid, f"build-{i + 1}", "fra1-worker-%d" % (i + 1), 4100 + i, v, c, t),
            )
            if i == 2:
                await w.execute("select public.stop_worker(%s)", (wid,))
        await load_history(db, conn, wid, runs=1300)
        sess = await plane.create_session("Upgrade staging to Odoo 19")
        r = await plane.create_run(sess.id, upgrade, {"seconds": 300}, lane="A", title="Upgrade module stock")
        await plane.create_run(
            sess.id,
            upgrade,
            {"seconds": 300},
            lane="B",
            title="Rebuild the search index, a title that is long enough to be cut somewhere in the middle of it all",
        )
        await plane.create_run(sess.id, upgrade, {"seconds": 3}, lane="A", title="Prove the module gates")
        f = await plane.create_run(sess.id, upgrade, {"seconds": 1, "exit": 3}, lane="D", title="Upgrade module sale")
        async with asyncio.timeout(30):
            while (await plane.read_run(r.id)).run.status != "running" or (await plane.read_run(f.id)).run.is_live:
                await asyncio.sleep(0.3)
        f2 = await plane.retry_run(f.id)
        async with asyncio.timeout(30):
            while (await plane.read_run(f2.id)).run.is_live:
                await asyncio.sleep(0.3)

        def dump():
            t = room.service.log.read_text()
            print(t[-3500:])

        import atexit

        try:
            await shots(chromium, room)
        finally:
            dump()
            for run in await plane.runs():
                if run.is_live:
                    await plane.cancel_run(run.id)


async def shots(chromium, room):
    for dark in (True, False):
        for width in (1280, 390):
            async with visitor(chromium, room, dark=dark, width=width) as ctx:
                page = await ctx.new_page()
                await enter(page)
                n = f"{'dark' if dark else 'light'}-{width}"
                if "runs" in PAGES:
                    await page.goto("/runs")
                    await page.wait_for_selector("[data-run]")
                    await page.wait_for_selector("[data-feed=live]")
                    await page.screenshot(path=OUT / f"runs-{n}.png")
                    await page.goto("/runs?status=failed,timed_out&since=custom&template=upgrade-odoo")
                    await page.wait_for_selector("[data-run]")
                    await page.locator(".check").nth(1).check()
                    await page.locator(".check").nth(2).check()
                    await page.locator(".check").nth(3).check()
                    await page.get_by_role("region", name="Chosen runs").get_by_role("button", name="Retry").click()
                    await page.get_by_role("button", name="Retry them").click()
                    await page.wait_for_selector(".runs-done")
                    await page.locator(".check").nth(1).check()
                    await page.keyboard.press("j")
                    await page.screenshot(path=OUT / f"runs-chosen-{n}.png")
                    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
                    await page.screenshot(path=OUT / f"runs-end-{n}.png")
                    await page.goto("/runs?lane=B&q=nothing")
                    await page.get_by_text("No such runs").wait_for()
                    await page.screenshot(path=OUT / f"runs-none-{n}.png")
                for p in ("insights", "workers"):
                    if p in PAGES:
                        await page.goto("/" + p)
                        await page.wait_for_selector(f"[data-page={p}]")
                        await page.wait_for_selector("main[data-page] .tiles .tile-value", timeout=6000)
                        await asyncio.sleep(0.6)
                        await page.screenshot(path=OUT / f"{p}-{n}.png", full_page=True)
                assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
