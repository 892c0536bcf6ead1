"""The filter of the page of runs as its address says it, and its rows. The same address is what an export takes."""

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlencode

from opsroom.components.runs_views import TIMES, Choice, Outcomes, RunRow, RunsQuery
from opsroom.control_plane.models import Card
from opsroom.control_plane.search import Outcome, RunFilter, past_moment
from opsroom.domain.errors import InvalidArgument
from opsroom.domain.lifecycle import LANES
from opsroom.room.present import REASON_WORDS, STATUS_WORDS, iso, span

PAGE_SIZE: Final = 50
KEYS: Final = ("status", "lane", "template", "session", "person", "q", "since", "until", "dead", "before")


def run_filter(query: Mapping[str, str]) -> RunFilter:
    """What an address asks for. Raises InvalidArgument for what cannot be meant."""
    statuses = [status for status in query.get("status", "").split(",") if status]
    if unknown := set(statuses) - set(STATUS_WORDS):
        raise InvalidArgument(f"There is no state {sorted(unknown)[0]!r}.", hint="Choose one on the page.")
    lane = query.get("lane", "")
    if lane and lane not in LANES:
        raise InvalidArgument(f"There is no lane {lane!r}.", hint="Choose A, B, C or D.")
    since, until = query.get("since"), query.get("until")
    return RunFilter(
        statuses=cast(Any, statuses),
        lane=cast(Any, lane or None),
        template=query.get("template") or None,
        session_id=query.get("session") or None,
        person=query.get("person") or None,
        text=query.get("q") or None,
        since=past_moment(since) if since and since != "custom" else None,
        until=past_moment(until) if until else None,
        dead_letters=query.get("dead") == "1",
        before=query.get("before") or None,
        limit=PAGE_SIZE,
    )


def runs_query(query: Mapping[str, str]) -> RunsQuery:
    """An address as the filters show it."""
    since, until = query.get("since", ""), query.get("until", "")
    preset = since in dict(TIMES) and not until
    return RunsQuery(
        status=[status for status in query.get("status", "").split(",") if status],
        lane=query.get("lane", ""),
        template=query.get("template", ""),
        session=query.get("session", ""),
        person=query.get("person", ""),
        text=query.get("q", ""),
        since="" if preset or since == "custom" else since,
        until=until,
        span=since if preset else "custom" if since or until else "",
        dead=query.get("dead") == "1",
        before=query.get("before", ""),
        narrowed=any(query.get(key) for key in KEYS if key != "before"),
    )


def address(query: Mapping[str, str], path: str = "/runs", **changes: str | None) -> str:
    """The address of a filter after `changes`; what is empty goes. Another filter begins at its newest page, unless
    `before` is among the changes.
    """
    wanted = {"before": None, **changes}
    merged = {**{key: value for key, value in query.items() if key in KEYS}, **wanted}
    pairs = [(key, merged[key]) for key in KEYS if merged.get(key)]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def picked(query: Mapping[str, str], name: str, value: str) -> str:
    """The address after one filter was changed."""
    match name:
        case "span":
            return address(query, since=value, until=None)
        case "lane" | "template" | "session" | "person" | "q" | "dead" | "since" | "until":
            return address(query, **{name: value})
        case "status":
            now = [status for status in query.get("status", "").split(",") if status]
            now = [status for status in now if status != value] if value in now else [*now, value]
            return address(query, status=",".join(status for status in STATUS_WORDS if status in now))
        case _:
            raise InvalidArgument(f"There is no filter {name!r}.")


def run_row(card: Card, sessions: Mapping[str, str]) -> RunRow:
    """A run as a line of the table."""
    done = f"{card.steps_done}/{card.steps_total}" if card.steps_total else ""
    step = f"{done} {card.current_step_title or card.current_step or ''}".strip() if card.is_live else ""
    reason = REASON_WORDS.get(card.reason, "") if card.reason else ""
    return RunRow(
        id=card.id,
        href=f"/runs/{card.id}",
        title=card.title,
        template=card.template_slug,
        version=f"v{card.template_version}",
        lane=card.lane,
        session=sessions.get(card.session_id, card.session_id[:8]),
        session_href=f"/sessions/{card.session_id}",
        person=card.created_by_name or "",
        status=card.status,
        word="Cancelling" if card.cancel_requested_at and card.is_live else STATUS_WORDS[card.status],
        reason=". ".join(part for part in (reason.capitalize(), card.message or "") if part),
        live=card.is_live,
        cancelling=card.cancel_requested_at is not None and card.is_live,
        attempt=card.attempt,
        dead=card.dead_letter,
        step=step if card.status != "queued" else "",
        queued_at=iso(card.queued_at),
        started_at=iso(card.started_at),
        took=span(card.started_at, card.finished_at),
    )


def choices(pairs: Mapping[str, str]) -> list[Choice]:
    """Entries of a select, by label."""
    return [Choice(value, label) for value, label in sorted(pairs.items(), key=lambda pair: pair[1].lower())]


def outcomes(found: tuple[Outcome, ...], titles: Mapping[str, str], *, done: str, asked: str = "") -> Outcomes:
    """What a bulk command did, in words. `asked` is what a run that is still live was only asked for."""
    ended = [item for item in found if item.run and (not asked or not item.run.is_live)]
    waiting = [item for item in found if item.run and asked and item.run.is_live]
    refused = [item for item in found if item.error]
    parts = [f"{len(ended)} {done}" if ended else "", f"{len(waiting)} {asked}" if waiting else ""]
    parts.append(f"{len(refused)} refused" if refused else "")
    return Outcomes(
        title=", ".join(part for part in parts if part) + ".",
        state="failed" if refused and not ended and not waiting else "warn" if refused else "succeeded",
        refused=[
            (f"/runs/{item.run_id}", titles.get(item.run_id, item.run_id[:8]), item.error.message)
            for item in refused
            if item.error
        ],
    )
