"""Insights, `/insights`: what runs did over a day, a week, a month; of all, of one template, of one session."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlencode

import reflex as rx

from opsroom.components.basics import blank, notice, problem
from opsroom.components.insights import (
    RANGES,
    ReasonRow,
    TemplateRow,
    Tile,
    charts,
    insights_loading,
    reason_list,
    template_table,
    tiles,
)
from opsroom.components.runs import choice_select
from opsroom.components.runs_views import Choice
from opsroom.components.shell import page, user_menu
from opsroom.components.views import Freshness
from opsroom.domain.errors import NotAuthenticated
from opsroom.room import present_insights
from opsroom.room.live import Picture, Subject
from opsroom.room.live_page import open_live
from opsroom.room.present import iso
from opsroom.room.present_insights import insights_values
from opsroom.room.run_query import choices
from opsroom.room.sign_ins import SignIn
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, refusal, signed_in

PACE_SECONDS = 5.0


class InsightsState(rx.State):
    """What the page shows."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    range: rx.Field[str] = rx.field("24h")
    template: rx.Field[str] = rx.field("")
    session: rx.Field[str] = rx.field("")
    templates: rx.Field[list[Choice]] = rx.field(default_factory=list)
    sessions: rx.Field[list[Choice]] = rx.field(default_factory=list)
    empty: rx.Field[bool] = rx.field(False)
    complete: rx.Field[bool] = rx.field(True)
    grain: rx.Field[int] = rx.field(3600)
    tiles: rx.Field[list[Tile]] = rx.field(default_factory=list)
    points: rx.Field[list[dict[str, Any]]] = rx.field(default_factory=list)
    summaries: rx.Field[dict[str, str]] = rx.field(default_factory=dict)
    by_template: rx.Field[list[TemplateRow]] = rx.field(default_factory=list)
    reasons: rx.Field[list[ReasonRow]] = rx.field(default_factory=list)
    freshness: rx.Field[Freshness] = rx.field(default_factory=Freshness)

    @rx.event
    async def load(self) -> AsyncGenerator[Any, None]:
        """Show what the address asks for, and keep it live."""
        query = dict(self.router.url.query_parameters)
        self.range = query["range"] if query.get("range") in present_insights.RANGES else "24h"
        self.template, self.session = query.get("template", ""), query.get("session", "")
        subject = _insights(self.range, self.template, self.session)
        async for step in open_live(self, subject, InsightsState.load_again):
            yield step

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while, for as long as the page is open: nobody has to press a button."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return InsightsState.load

    @rx.event
    def pick(self, name: str, value: str) -> Any:
        """Another time, template or session: that is another address."""
        try:
            signed_in(self)
        except NotAuthenticated as error:
            return refusal(error)
        now = {"range": self.range, "template": self.template, "session": self.session}
        pairs = [(key, now[key] if key != name else value) for key in now]
        return rx.redirect("/insights?" + urlencode([(key, text) for key, text in pairs if text]))


def _insights(span: str, template: str, session: str) -> Subject:
    async def read(sign_in: SignIn) -> Picture:
        room = sign_in.control_plane
        since = dt.datetime.now(dt.UTC) - present_insights.RANGES[span]
        found, templates, sessions = await asyncio.gather(
            room.read_insights(since, template=template or None, session_id=session or None),
            room.templates(),
            room.session_names(),
        )
        titles = {item.slug: item.title for item in templates}
        names = {item.id: item.title for item in sessions}
        values = insights_values(found, since, titles, {"session": session, "range": span})
        chosen = {
            "templates": choices({**({template: template} if template else {}), **titles}),
            "sessions": choices({**({session: session[:8]} if session else {}), **names}),
        }
        return Picture({**values, **chosen, "phase": "ready"}, as_of=iso(found.read_at))

    return Subject("sessions", read, InsightsState, name=f"{span}:{template}:{session}", pace=PACE_SECONDS)


def _ready() -> rx.Component:
    state = InsightsState
    return rx.fragment(
        rx.cond(
            ~state.complete,
            rx.el.div(
                notice(
                    "warn",
                    "Not all of it is counted yet.",
                    "The sweep counts what ended, bit by bit; of one session, the newest 20,000 runs are read.",
                ),
                class_name="runs-done",
            ),
        ),
        rx.cond(
            state.empty,
            rx.el.div(
                blank(
                    "chart-no-axes-column",
                    "No run ended in this time",
                    "Choose a longer time, or another template or session.",
                ),
                class_name="panel",
            ),
            rx.fragment(
                tiles(state.tiles),
                charts(state.points, state.grain, state.summaries),
                rx.el.div(template_table(state.by_template), reason_list(state.reasons), class_name="insights-lists"),
                rx.el.p(
                    "Waits and durations are right within 10 %. Hours and days are those in which runs ended.",
                    class_name="faint insights-note",
                ),
            ),
        ),
    )


def insights() -> rx.Component:
    """The page."""
    state = InsightsState
    again = rx.el.button("Try again", type="button", class_name="btn", on_click=state.load)
    return page(
        rx.el.main(
            rx.el.header(
                rx.el.h1("Insights"),
                rx.el.div(
                    *(
                        rx.el.button(
                            word,
                            type="button",
                            class_name="segment",
                            aria_pressed=(state.range == value).to_string(),
                            on_click=state.pick("range", value),
                        )
                        for value, word in RANGES
                    ),
                    class_name="segments",
                    role="group",
                    aria_label="Time",
                ),
                rx.el.div(
                    choice_select(
                        "Template",
                        "All templates",
                        state.template,
                        state.templates,
                        lambda value: state.pick("template", value),
                    ),
                    choice_select(
                        "Session",
                        "All sessions",
                        state.session,
                        state.sessions,
                        lambda value: state.pick("session", value),
                    ),
                    class_name="page-actions runs-fields",
                ),
                class_name="page-head insights-head",
            ),
            rx.match(
                state.phase,
                ("ready", _ready()),
                ("problem", problem(state.problem_title, state.problem_text, "unplug", again)),
                insights_loading(),
            ),
            class_name="main main-wide",
            id="main",
            data_page="insights",
        ),
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        freshness=state.freshness,
        active="insights",
    )
