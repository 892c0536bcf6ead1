"""All templates, `/templates`: what each does, how risky it is, how much it is used."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank, problem
from opsroom.components.library import page_head, search_field, table_loading
from opsroom.components.library_views import TemplateRow
from opsroom.components.shell import page, user_menu
from opsroom.components.templates import template_row_view
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.room.present_library import template_row
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, to_sign_in

NEEDS_ADMIN = "Only admins save templates. You can look at each, and try changes without saving."


class TemplatesState(rx.State):
    """What the list shows."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    rows: rx.Field[list[TemplateRow]] = rx.field(default_factory=list)
    query: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> Any:
        """Read the templates."""
        try:
            sign_in = await arrive(self)
            self.rows = [template_row(item) for item in await sign_in.control_plane.templates()]
            self.phase = "ready"
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                return TemplatesState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return TemplatesState.load

    @rx.event
    def search(self, text: str) -> None:
        """Narrow the list."""
        self.query = text


def _new() -> rx.Component:
    return rx.fragment(
        rx.cond(
            Viewer.role == "admin",
            nav_link(
                rx.icon("plus", size=15, aria_hidden=True),
                "New template",
                to="/templates/new",
                class_name="btn btn-primary",
            ),
            nav_link("Try a new template", to="/templates/new", class_name="btn", title=NEEDS_ADMIN),
        )
    )


def _ready() -> rx.Component:
    columns = ("Template", "Version", "Runs, 30 days", "Last used", "State")
    return rx.fragment(
        page_head(
            "Templates",
            "Runbooks: what runs, in which order, and what is kept of it.",
            search_field("Search templates", TemplatesState.search),
            _new(),
        ),
        rx.cond(
            TemplatesState.rows.length() > 0,
            rx.el.div(
                rx.el.table(
                    rx.el.thead(rx.el.tr(*(rx.el.th(column, scope="col") for column in columns))),
                    rx.el.tbody(
                        rx.foreach(
                            TemplatesState.rows,
                            lambda row: rx.cond(
                                row.search.contains(TemplatesState.query.lower()), template_row_view(row)
                            ),
                        )
                    ),
                    class_name="lib-table templates-table",
                ),
                class_name="panel table-panel",
            ),
            rx.el.div(
                blank(
                    "book-open",
                    "There are no templates",
                    "Load the ones that come with the project (supabase/seed.sql), save one from a file with "
                    "`opsroom templates save`, or write one here.",
                ),
                class_name="panel",
            ),
        ),
    )


def templates() -> rx.Component:
    """The page."""
    return page(
        rx.el.main(
            rx.match(
                TemplatesState.phase,
                ("ready", _ready()),
                ("problem", problem(TemplatesState.problem_title, TemplatesState.problem_text)),
                table_loading(),
            ),
            class_name="main main-narrow",
            id="main",
        ),
        active="templates",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
    )
