"""Whatever a run says, and wherever: no secret leaves the worker in a form that is known."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote, quote_plus

from tests.worker.room import Room

TOKEN = 'ü.*[x]+ "q" \\b/ & 100% a\'s 🔑'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END KEY-----\n"
SHOW = """
import base64, html, json, os, re, sys, time, urllib.parse
token, key = os.environ["T"], os.environ["K"]
raw = token.encode()
wrapped = base64.encodebytes(b"user:" + raw * 5 + b" and more").decode()
forms = [
    token, key, key.replace("\\n", "\\r\\n"), "\\n".join("   | " + line for line in key.splitlines()),
    urllib.parse.quote(token, safe=""), urllib.parse.quote_plus(token), re.sub("%..", lambda x: x[0].lower(), urllib.parse.quote(token)),
    json.dumps({"t": token}), json.dumps(json.dumps({"t": token})), html.escape(token), raw.hex(), raw.hex().upper(),
    *(base64.b64encode(b"x" * n + raw + b"tail").decode() for n in range(4)),
    base64.urlsafe_b64encode(b"ab" + raw).decode(), wrapped, base64.b64encode(key.encode()).decode(),
]
text = "begin\\n" + "\\n".join(forms) + "\\nend\\n"
open("all.txt", "w").write(text)
open("unnamed", "w").write(text)
open("image.png", "wb").write(b"\\x89PNG\\0" + raw)
open(f"report of {os.environ['PLAIN']}.md", "w").write(token)
data = text.encode()
for at in range(0, len(data), 7):
    os.write(1, data[at : at + 7])
    if at % 70 == 0:
        time.sleep(0.002)
os.write(2, ("last words " + token).encode())
sys.exit(3)
"""


def shown_forms() -> list[str]:
    raw = TOKEN.encode()
    known = [TOKEN, *(line for line in KEY.splitlines()), quote(TOKEN, safe=""), quote_plus(TOKEN)]
    known += [json.dumps(TOKEN)[1:-1], raw.hex(), raw.hex().upper(), "plain-file-name-secret"]
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + raw + b"tail").decode()
        known.append(encoded[4 : (before + len(raw)) * 4 // 3 - 1])
    return known


async def test_no_form_of_a_secret_is_in_events_messages_artifacts_or_the_workers_log(served_room: Room) -> None:
    room = served_room
    room.secrets |= {"TOKEN": TOKEN, "KEY": KEY, "PLAIN": "plain-file-name-secret"}
    env = {"T": "{{ secrets.TOKEN }}", "K": "{{ secrets.KEY }}", "PLAIN": "{{ secrets.PLAIN }}"}
    steps = [
        {
            "with": {"argv": ["python3", "-c", SHOW], "env": env},
            "artifacts": [{"path": "*", "kind": None}],
            "required": False,
        },
        {
            "kind": "http",
            "with": {"method": "GET", "url": "{{ params.url }}", "headers": {"x": "{{ secrets.PLAIN }}"}},
            "preconditions": [
                {
                    "name": "seen",
                    "kind": "shell",
                    "required": False,
                    "with": {"argv": ["sh", "-c", "echo $P; exit 1"], "env": {"P": "{{ secrets.PLAIN }}"}},
                }
            ],
        },
    ]
    params = {"properties": {"url": {"type": "string"}, "note": {"type": "string"}}}
    slug = await room.template(steps, secrets=["TOKEN", "KEY", "PLAIN"], params=params)
    given = {"url": "http://127.0.0.1:9/plain-file-name-secret", "note": f"try {TOKEN}"}
    run_id = await room.launch(slug, given)
    async with room.worker(OPSROOM_LOG_LEVEL="DEBUG") as worker:
        run = await room.until(run_id)
    events = await room.events(run_id)
    found = await room.artifacts(run_id)
    texts = {name: (await room.stored(run_id, name)).decode() for name in ("all.txt", "unnamed", "report of •••.md")}
    told = "\n".join(f"{event['message']}\n{json.dumps(event['data'], ensure_ascii=False)}" for event in events)
    told += f"{run['message']} {worker.said} {json.dumps(list(found), ensure_ascii=False)}"
    told += "".join(step["message"] or "" for step in (await room.steps(run_id)).values())
    told += json.dumps(
        await room.sql("select expected::text, seen::text, message from proofs where run_id = %s", run_id)
    )
    for form in shown_forms():
        for where, text in {"events": told, **texts}.items():
            assert form not in text, where
    seen, said = (await room.output(run_id)).split("\n", 1)
    assert seen == "•••", "the precondition's output"
    assert said.startswith("begin\n•••\n•••\n")
    assert said.endswith("\nend\n")
    assert texts["all.txt"] == said, "what is cut at any place is masked like the whole"
    assert await room.output(run_id, "stderr") == "last words •••"
    assert found["all.txt"]["sha256"] == hashlib.sha256(texts["all.txt"].encode()).hexdigest()
    assert TOKEN.encode() in await room.stored(run_id, "image.png"), "what is no text is kept as it is"
    warned = [event["message"] for event in events if event["type"] == "log" and "holds the value" in event["message"]]
    assert sorted(text.split()[2] for text in warned) == ["note", "url"]


async def test_a_line_that_may_go_on_is_shown_while_the_command_is_silent(room: Room) -> None:
    room.secrets["TOKEN"] = "password-to-hide"
    run_id = await room.launch_script("echo 'Enter password'; sleep 60")
    async with room.worker():
        await room.until_output(run_id, "Enter password")
        assert (await room.run(run_id))["status"] == "running"
        await room.call("select cancel_run(%s)", run_id)
        await room.until(run_id)
