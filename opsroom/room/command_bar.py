"""What the command bar offers for a line, and what it does when a person confirmed. Everything is done as the signed-in
person; the database decides by their role.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote

from opsroom.components.navigation import MORE, ROW
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.models import Found, FoundRun, RunDetail, SessionRef, Template
from opsroom.domain.errors import InvalidArgument, RunNotFound
from opsroom.domain.lifecycle import LANES, Lane
from opsroom.domain.param_text import read_texts
from opsroom.domain.params import validate
from opsroom.domain.plain_words import tokens
from opsroom.room.present import STATUS_WORDS
from opsroom.room.sign_ins import SignIn

Item = dict[str, Any]
"""One offer, as the browser draws it: `id`, `group`, `icon`, `title`, `detail`; then `href` to go to, or `confirm`: the
question and its answers, of which each has a `do` for `act`, or an `href`. `problems` are shown below it.
"""

LIMIT: Final = 6
_RUN: Final = re.compile(r"^/runs/([0-9a-fA-F-]{36})")
_SESSION: Final = re.compile(r"^/sessions/([0-9a-fA-F-]{36})")


async def offer(sign_in: SignIn, query: Mapping[str, str]) -> dict[str, Any]:
    """What to offer for `q`, typed on the page `path` with `run` selected; `session` is the last one visited."""
    room, text, path = sign_in.control_plane, query.get("q", "").strip()[:200], query.get("path", "")
    words, given = _parsed(text)
    selected = _RUN.match(path)
    templates, found, run = await asyncio.gather(
        room.templates(),
        _nothing() if given else room.search_room(" ".join(words), limit=LIMIT),
        _run(room, selected[1] if selected else query.get("run", "")),
    )
    launches = _named(words, templates) if text else []
    session = await _session(room, path, query.get("session", ""), run, found) if launches else None
    member = await sign_in.member()
    pages = [] if given else list(_pages(words))
    groups = (
        _for_run(run, words) if not given and await sign_in.may_operate() else [],
        pages if text else [],
        [_launch(template, given, session) for template in launches[:LIMIT]],
        [_to_session(item) for item in found.sessions],
        [_to_run(item) for item in found.runs],
        [] if text else pages,
        [_plain_words(text)] if len(words) > 1 or (text and not launches) else [],
    )
    return {"who": member.email, "items": [item for group in groups for item in group]}


async def act(sign_in: SignIn, order: object) -> dict[str, Any]:
    """Do what a person confirmed. The answer says what became of it, and where to look."""
    room = sign_in.control_plane
    match order:
        case {"do": "launch", "session": str(session), "template": str(slug), "params": dict(params), "key": str(key)}:
            lane = cast(Mapping[str, Any], order).get("lane")
            if lane not in LANES:
                raise InvalidArgument(f"There is no lane {lane!r}.", hint="Choose A, B, C or D.")
            run = await room.create_run(session, slug, params, lane=cast(Lane, lane), idempotency_key=key)
            return {"said": f"Queued in lane {run.lane}", "detail": run.title, "href": f"/sessions/{run.session_id}"}
        case {"do": "cancel", "run": str(run_id)}:
            run = await room.cancel_run(run_id)
            return {"said": "Cancelled" if run.status == "cancelled" else "Cancelling", "detail": run.title}
        case {"do": "retry", "run": str(run_id)}:
            run = await room.retry_run(run_id)
            return {"said": f"Attempt {run.attempt} is queued", "detail": run.title, "href": f"/runs/{run.id}"}
        case _:
            raise InvalidArgument("The command bar was asked for what it cannot do.", hint="Reload the page.")


def _parsed(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """The words of a line, and its `name=value`s."""
    words: list[str] = []
    given: dict[str, list[str]] = {}
    for token in tokens(text):
        name, separator, value = token.partition("=")
        if separator and name:
            given.setdefault(name, []).append(value.strip("\"'") if value[:1] in "\"'" else value)
        else:
            words.append(token.lower())
    return words, given


def _says(words: Iterable[str], text: str) -> bool:
    lowered = text.lower()
    return all(word in lowered for word in words)


def _named(words: Sequence[str], templates: Iterable[Template]) -> list[Template]:
    """Templates that the words name; the one that is spelled out first."""
    named = [item for item in templates if item.enabled and words and _says(words, f"{item.title} {item.slug}")]
    return sorted(named, key=lambda item: (item.slug not in words, not item.title.lower().startswith(words[0])))


def _launch(template: Template, given: Mapping[str, Sequence[str]], session: SessionRef | None) -> Item:
    item: Item = {
        "id": f"launch-{template.slug}",
        "group": "Launch a template",
        "icon": "play",
        "title": template.title,
        "detail": template.slug,
        "state": {"warn": "warn", "block": "failed"}.get(template.risk, "pending"),
    }
    if session is None:
        return {**item, "href": "/", "problems": ["There is no open session to launch into: create one on the board."]}
    params, problems = _params(template, given)
    filled = f"&params={quote(json.dumps(params, ensure_ascii=False))}" if params else ""
    form = f"/sessions/{session.id}/launch?template={template.slug}{filled}"
    complete = not problems and (bool(given) or not template.params_schema.get("properties"))
    if not complete:
        shown = problems if given else []
        return {**item, "href": form, "detail": f"{template.slug} · opens the form", "problems": shown}
    body = {"do": "launch", "session": session.id, "template": template.slug, "params": params}
    lanes = [
        {
            "id": f"lane-{lane}",
            "icon": "play",
            "title": f"Launch {template.title} into lane {lane}",
            "detail": session.title,
            "body": {**body, "lane": lane},
        }
        for lane in LANES
    ]
    written = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in params.items())
    to_form = {"id": "form", "icon": "pen", "title": "Look at it in the form first", "href": form}
    question = f"Launch {template.title}" + (f" with {written}" if written else "")
    return {**item, "detail": written or template.slug, "confirm": {"question": question, "answers": [*lanes, to_form]}}


def _params(template: Template, given: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], list[str]]:
    """The typed params, and what is wrong with them."""
    schema = template.params_schema
    params: dict[str, Any] = {}
    problems: list[str] = []
    for name, texts in given.items():
        try:
            params[name] = read_texts(name, texts, schema.get("properties", {}).get(name, {}))
        except InvalidArgument as error:
            problems.append(error.message)
    wrong = [f"{error.path.removeprefix('/') or 'params'} {error.message}" for error in validate(schema, params)]
    return params, [*problems, *wrong]


def _for_run(detail: RunDetail | None, words: Sequence[str]) -> list[Item]:
    """What can be done to the selected run."""
    if detail is None:
        return []
    run = detail.run
    base = {"group": "The selected run", "detail": run.title}
    items: list[Item] = []
    if run.is_live and not run.cancel_requested_at:
        answers = [
            {"id": "yes", "icon": "x", "title": f"Cancel “{run.title}”", "body": {"do": "cancel", "run": run.id}},
            {"id": "no", "icon": "back", "title": "Keep it running"},
        ]
        confirm = {"question": f"Cancel “{run.title}”? What it has done so far stays done.", "answers": answers}
        items.append({**base, "id": "cancel", "icon": "x", "title": "Cancel the run", "confirm": confirm})
    if not run.is_live and run.status != "succeeded" and not run.retried_by:
        answers = [
            {"id": "yes", "icon": "again", "title": f"Retry “{run.title}”", "body": {"do": "retry", "run": run.id}},
            {"id": "no", "icon": "back", "title": "Leave it"},
        ]
        confirm = {"question": f"Retry “{run.title}” with the same params?", "answers": answers}
        items.append({**base, "id": "retry", "icon": "again", "title": "Retry the run", "confirm": confirm})
    again = f"/sessions/{run.session_id}/launch?rerun={run.id}"
    items.append({**base, "id": "rerun", "icon": "pen", "title": "Run again with edits", "href": again})
    return [item for item in items if _says(words, str(item["title"]))]


def _pages(words: Sequence[str]) -> Iterable[Item]:
    for place in (*ROW, *MORE):
        if _says(words, place.title):
            yield {
                "id": f"page-{place.key}",
                "group": "Pages",
                "icon": "page",
                "title": place.title,
                "href": place.path,
            }


def _to_session(session: SessionRef) -> Item:
    detail = "archived" if session.archived_at else "session"
    href = f"/sessions/{session.id}"
    return {
        "id": session.id,
        "group": "Sessions",
        "icon": "session",
        "title": session.title,
        "detail": detail,
        "href": href,
    }


def _to_run(found: FoundRun) -> Item:
    run = found.run
    return {
        "id": run.id,
        "group": "Runs",
        "icon": "run",
        "state": run.status,
        "title": run.title,
        "detail": f"{STATUS_WORDS[run.status]} · lane {run.lane} · {found.session_title}",
        "href": f"/runs/{run.id}",
    }


def _plain_words(text: str) -> Item:
    return {
        "id": "plain-words",
        "group": "Plain words",
        "icon": "words",
        "title": f"Read “{text}” as a command",
        "detail": "shows what it would launch",
        "href": f"/command?q={quote(text)}",
    }


async def _nothing() -> Found:
    return Found()


async def _run(room: ControlPlane, run_id: str) -> RunDetail | None:
    try:
        return await room.read_run(run_id) if run_id else None
    except (RunNotFound, InvalidArgument):
        return None


async def _session(room: ControlPlane, path: str, last: str, run: RunDetail | None, found: Found) -> SessionRef | None:
    """Where a launch would go: the session on screen, the selected run's, the last one visited, the latest."""
    here = _SESSION.match(path)
    for wanted in (here[1] if here else "", run.run.session_id if run else "", last):
        if re.fullmatch(r"[0-9a-fA-F-]{36}", wanted):
            known = (await room.search_room(wanted, limit=1)).sessions
            if known and not known[0].archived_at:
                return known[0]
    newest = found.sessions or (await room.search_room("", limit=LIMIT)).sessions
    return next((item for item in newest if not item.archived_at), None)
