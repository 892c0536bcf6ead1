"""All runs, `/runs`: filters that live in the address, pages, and what is done with many of them at once."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank, notice, problem
from opsroom.components.runs import export_menu, outcome_notice, runs_filters, runs_foot, runs_loading, runs_table
from opsroom.components.runs_views import Choice, Outcomes, RunRow, RunsQuery
from opsroom.components.shell import page, user_menu
from opsroom.components.views import Freshness
from opsroom.control_plane.client import ControlPlane
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.search import RunFilter, RunPage, cursor_of
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room import broadcast
from opsroom.room.live import Picture, Subject, watch
from opsroom.room.present import iso
from opsroom.room.run_query import address, choices, outcomes, picked, run_filter, run_row, runs_query
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, NEEDS_OPERATOR, Viewer, arrive, refusal, signed_in, to_sign_in

EXPORT: Final = "/api/runs/export"


class RunsState(rx.State):
    """What the page shows. `shown` names the address whose rows these are."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    busy: rx.Field[bool] = rx.field(False)
    shown: rx.Field[str] = rx.field("")
    query: rx.Field[RunsQuery] = rx.field(default_factory=RunsQuery)
    rows: rx.Field[list[RunRow]] = rx.field(default_factory=list)
    newer: rx.Field[int] = rx.field(0)
    older: rx.Field[str] = rx.field("")
    newest: rx.Field[str] = rx.field("")
    searched_to: rx.Field[str] = rx.field("")
    csv: rx.Field[str] = rx.field("")
    json_file: rx.Field[str] = rx.field("")
    templates: rx.Field[list[Choice]] = rx.field(default_factory=list)
    sessions: rx.Field[list[Choice]] = rx.field(default_factory=list)
    people: rx.Field[list[Choice]] = rx.field(default_factory=list)
    done: rx.Field[Outcomes] = rx.field(default_factory=Outcomes)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show the page that the address asks for, and keep its rows live."""
        query = dict(self.router.url.query_parameters)
        try:
            here = address(query, before=query.get("before"))
            if here != self.shown:
                self.done = Outcomes()
            self.busy, self.query = True, runs_query(query)
            sign_in = await arrive(self)
            yield
            wanted = run_filter(query)
            found, _ = await asyncio.gather(sign_in.control_plane.search_runs(wanted), self._choices(sign_in))
            self._show(query, here, found)
            yield
            live = await watch(broadcast.tab_of(self), sign_in, _rows(wanted, found))
            for name, value in (await live.snapshot()).items():
                setattr(self, name, value)
            yield
            await live.show(broadcast.tab_of(self))
        except NotAuthenticated:
            yield to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                yield RunsState.load_again
        finally:
            self.busy = False

    def _show(self, query: dict[str, str], here: str, found: RunPage) -> None:
        self.phase, self.shown = "ready", here
        self.rows, self.newer = [run_row(run, found.sessions) for run in found.runs], 0
        self.older = address(query, before=found.next) if found.next else ""
        self.newest = address(query) if query.get("before") else ""
        self.searched_to = iso(found.searched_to)
        self.csv, self.json_file = (address(query, f"{EXPORT}.{kind}") for kind in ("csv", "json"))

    async def _choices(self, sign_in: SignIn) -> None:
        """Fill the selects."""
        room: ControlPlane = sign_in.control_plane
        templates, sessions, people = await asyncio.gather(room.templates(), room.session_names(), room.members())
        known = {
            "templates": {item.slug: item.title for item in templates},
            "sessions": {session.id: session.title for session in sessions},
            "people": {member.user_id: member.display_name or member.email for member in people},
        }
        for name, asked in (
            ("templates", self.query.template),
            ("sessions", self.query.session),
            ("people", self.query.person),
        ):
            setattr(self, name, choices({**({asked: asked[:8]} if asked else {}), **known[name]}))

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while, for as long as the page is open: nobody has to press a button."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return RunsState.load

    @rx.event
    def pick(self, name: str, value: str) -> Any:
        """One filter was changed: that is another address."""
        try:
            return rx.redirect(picked(self.router.url.query_parameters, name, value))
        except OpsRoomError as error:
            return refusal(error)

    @rx.event
    def toggle(self, status: str) -> Any:
        """A state was chosen, or not any more."""
        return self.pick("status", status)

    @rx.event
    def search(self, form: dict[str, Any]) -> Any:
        """A text was entered."""
        return self.pick("q", str(form.get("q") or "").strip()[:200])

    @rx.event
    def clear(self) -> Any:
        """All runs."""
        return rx.redirect("/runs")

    @rx.event
    def show_newer(self) -> Any:
        """Show the newest page as it is now."""
        return RunsState.load

    @rx.event
    async def cancel(self, ids: list[str], reason: str) -> Any:
        """Ask for the end of many runs."""
        try:
            found = await signed_in(self).control_plane.cancel_runs(ids, reason.strip() or None)
        except OpsRoomError as error:
            return refusal(error)
        self.done = outcomes(found, self._titles(), done="ended or had ended", asked="told to stop")

    @rx.event
    async def retry(self, ids: list[str], _reason: str) -> Any:
        """Queue the next attempts of many runs."""
        try:
            found = await signed_in(self).control_plane.retry_runs(ids)
        except OpsRoomError as error:
            return refusal(error)
        self.done = outcomes(found, self._titles(), done="queued as next attempts")

    @rx.event
    def dismiss(self) -> None:
        """The outcomes were read."""
        self.done = Outcomes()

    def _titles(self) -> dict[str, str]:
        return {row.id: row.title for row in self.rows}


def _rows(wanted: RunFilter, found: RunPage) -> Subject:
    """The rows of one page, in their places whatever becomes of them."""
    ids = [run.id for run in found.runs]
    top = cursor_of(found.runs[0]) if found.runs else None

    async def read(sign_in: SignIn) -> Picture:
        fresh = await sign_in.control_plane.refresh_runs(ids, wanted, top)
        by_id = {run.id: run_row(run, found.sessions) for run in fresh.runs}
        values = {
            "rows": [by_id[run_id] for run_id in ids if run_id in by_id],
            "newer": 0 if wanted.before else fresh.newer,
        }
        return Picture(values, as_of=iso(fresh.read_at), busy=any(run.is_live for run in fresh.runs))

    key = hashlib.sha256(json.dumps([ids, wanted.as_json(), bool(wanted.before)]).encode()).hexdigest()[:24]
    return Subject("sessions", read, RunsState, name=f"runs:{key}")


def _nothing() -> rx.Component:
    narrowed = RunsState.query.narrowed
    return rx.el.div(
        rx.cond(
            narrowed,
            rx.cond(
                RunsState.searched_to,
                blank("search", "Nothing so far", "Search further back, or change the filters."),
                blank("search-x", "No such runs", "No run matches all the filters."),
            ),
            blank("list", "No run yet", "Runs that are launched on the board are listed here, all of them, for good."),
        ),
        class_name="panel",
    )


def _ready() -> rx.Component:
    state = RunsState
    pill = rx.el.button(
        rx.icon("arrow-up", size=13, aria_hidden=True),
        rx.cond(state.newer >= 100, "100+", state.newer.to_string()),
        " newer",
        type="button",
        class_name="runs-newer",
        on_click=state.show_newer,
    )
    return rx.fragment(
        rx.cond(state.done.title, outcome_notice(state.done, state.dismiss)),
        rx.el.div(rx.cond(state.newer > 0, pill), class_name="runs-newer-place", aria_live="polite"),
        rx.cond(
            state.rows.length() > 0,
            runs_table(
                rows=state.rows,
                page=state.shown,
                busy=state.busy,
                may_operate=Viewer.may_operate,
                hint=NEEDS_OPERATOR,
                on_cancel=state.cancel,
                on_retry=state.retry,
            ),
            _nothing(),
        ),
        runs_foot(state.rows.length(), state.older, state.newest, state.searched_to),
    )


def _trouble() -> rx.Component:
    actions: Sequence[rx.Component] = (
        rx.el.button("Try again", type="button", class_name="btn", on_click=RunsState.load),
        nav_link("All runs", to="/runs", class_name="btn btn-ghost"),
    )
    return problem(RunsState.problem_title, RunsState.problem_text, "unplug", *actions)


def runs() -> rx.Component:
    """The page."""
    state = RunsState
    return page(
        rx.el.main(
            rx.el.header(
                rx.el.h1("Runs"),
                rx.cond(
                    ~Viewer.may_operate & (Viewer.role != ""), rx.el.span(notice("info", "You look on as a viewer."))
                ),
                rx.el.div(export_menu(state.csv, state.json_file), class_name="page-actions"),
                class_name="page-head",
            ),
            runs_filters(
                state.query,
                templates=state.templates,
                sessions=state.sessions,
                people=state.people,
                pick=state.pick,
                toggle=state.toggle,
                search=state.search,
                clear=state.clear,
            ),
            rx.match(state.phase, ("ready", _ready()), ("problem", _trouble()), runs_loading()),
            class_name="main main-wide",
            id="main",
        ),
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        freshness=state.freshness,
        active="runs",
    )
