"""A template, `/templates/<slug>`: what it does, its plan and params, its versions and what changed between them.
`?version=` shows another than the newest.
"""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, problem
from opsroom.components.browser import confirm_button
from opsroom.components.library import back_link, segment_links, table_loading
from opsroom.components.library_views import Diff, ParamRow, VersionRow
from opsroom.components.plan import plan_preview
from opsroom.components.run import box
from opsroom.components.shell import page, user_menu
from opsroom.components.template_page import changes_panel, source_panel, template_head
from opsroom.components.templates import history, params_table
from opsroom.components.views import PlanView, TemplateView
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.control_plane.library import TemplateVersion
from opsroom.domain.errors import NotAuthenticated, OpsRoomError, TemplateNotFound
from opsroom.room.diff import compare
from opsroom.room.plan import plan_view
from opsroom.room.present import template_view
from opsroom.room.present_library import param_rows, version_row
from opsroom.room.template_text import as_yaml
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, refusal, signed_in, to_sign_in


class TemplateState(rx.State):
    """What the page shows: one version, and what it is compared with."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    shown: rx.Field[TemplateView] = rx.field(default_factory=TemplateView)
    number: rx.Field[int] = rx.field(0)
    newest: rx.Field[int] = rx.field(0)
    row: rx.Field[VersionRow] = rx.field(default_factory=VersionRow)
    versions: rx.Field[list[VersionRow]] = rx.field(default_factory=list)
    older: rx.Field[list[str]] = rx.field(default_factory=list)
    params: rx.Field[list[ParamRow]] = rx.field(default_factory=list)
    plan: rx.Field[PlanView] = rx.field(default_factory=PlanView)
    source: rx.Field[str] = rx.field("")
    against: rx.Field[str] = rx.field("")
    diff: rx.Field[Diff] = rx.field(default_factory=Diff)
    split: rx.Field[bool] = rx.field(False)
    tab: rx.Field[str] = rx.field("overview")
    session: rx.Field[str] = rx.field("")
    session_title: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> Any:
        """Read the history, and show the version that the address asks for."""
        slug = self.router.url.path.strip("/").split("/")[1]
        try:
            sign_in = await arrive(self)
            if slug != self.shown.slug:
                self.phase, self.tab = "loading", "overview"
            room = sign_in.control_plane
            versions = await room.template_versions(slug)
            sessions = await room.list_sessions()
            self.session, self.session_title = (sessions[0].id, sessions[0].title) if sessions else ("", "")
            asked = str(self.router.url.query_parameters.get("version") or versions[0].version)
            wanted = next((version for version in versions if str(version.version) == asked), None)
            if wanted is None:
                raise TemplateNotFound(
                    f"Template {slug} has no version {asked[:20]}.", hint="Choose one of its history."
                )
            self._show(versions, wanted)
            self.phase = "ready"
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                return TemplateState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return TemplateState.load

    def _show(self, versions: tuple[TemplateVersion, ...], wanted: TemplateVersion) -> None:
        self.shown, self.number, self.newest = template_view(wanted), wanted.version, versions[0].version
        self.versions, self.row = [version_row(version) for version in versions], version_row(wanted)
        self.params, self.plan, self.source = (
            param_rows(wanted.params_schema),
            plan_view(wanted.spec),
            as_yaml(wanted.spec),
        )
        self.older = [str(version.version) for version in versions if version.version != wanted.version]
        before = [name for name in self.older if int(name) < wanted.version]
        self.against = before[0] if before else (self.older[0] if self.older else "")
        self._compare(versions)

    def _compare(self, versions: tuple[TemplateVersion, ...]) -> None:
        other = next((version for version in versions if str(version.version) == self.against), None)
        if other is None:
            self.diff = Diff(note="This is its only version.")
        else:
            self.diff = compare(as_yaml(other.spec), self.source)

    @rx.event
    def show_tab(self, tab: str) -> None:
        """Show another side of the version."""
        self.tab = tab

    @rx.event
    def set_split(self, split: bool) -> None:
        """Side by side, or one below the other."""
        self.split = split

    @rx.event
    async def compare_with(self, version: str) -> Any:
        """Compare the version that is shown with another one."""
        try:
            versions = await signed_in(self).control_plane.template_versions(self.shown.slug)
            self.against = version
            self._compare(versions)
        except OpsRoomError as error:
            return refusal(error)

    @rx.event
    async def set_enabled(self, enabled: bool) -> Any:
        """Let people start runs of it, or not."""
        try:
            await signed_in(self).control_plane.set_template_enabled(self.shown.slug, enabled)
            yield TemplateState.load
            yield rx.toast.success(f"{self.shown.title} is {'enabled' if enabled else 'disabled'}")
        except OpsRoomError as error:
            yield refusal(error)

    @rx.event
    async def disable(self, _: str) -> Any:
        """Stop new runs of it."""
        return TemplateState.set_enabled(False)


def _actions() -> rx.Component:
    shown, admin = TemplateState.shown, Viewer.role == "admin"
    launch = rx.cond(
        TemplateState.session & shown.enabled & Viewer.may_operate,
        nav_link(
            rx.icon("play", size=14, aria_hidden=True),
            "Launch",
            to=f"/sessions/{TemplateState.session}/launch?template={shown.slug}",
            class_name="btn btn-primary",
            title=f"Into the session {TemplateState.session_title}",
        ),
        rx.el.button(
            "Launch",
            type="button",
            disabled=True,
            class_name="btn btn-primary",
            title="It is disabled, there is no open session, or your role may look only.",
        ),
    )
    edit = nav_link(
        rx.icon("pencil", size=14, aria_hidden=True),
        rx.cond(admin, "Edit", "Try changes"),
        to=f"/templates/{shown.slug}/edit",
        class_name="btn",
        title=rx.cond(admin, "The newest version in the editor", "Your role may check changes, not save them."),
    )
    switch = rx.cond(
        shown.enabled,
        confirm_button(
            "Disable",
            class_name="btn",
            label=f"Disable {shown.title}",
            title=f"Disable {shown.title}?",
            body="Nobody can start new runs of it. Runs that are queued or under way go on.",
            confirm_label="Disable",
            disabled=~admin,
            hint=rx.cond(admin, "", "Only admins may do this."),
            on_confirm=TemplateState.disable,
        ),
        rx.el.button(
            "Enable",
            type="button",
            class_name="btn",
            disabled=~admin,
            title=rx.cond(admin, "Let people start runs of it again", "Only admins may do this."),
            on_click=TemplateState.set_enabled(True),
        ),
    )
    return rx.el.div(switch, edit, launch, class_name="head-actions")


def _changes() -> rx.Component:
    return changes_panel(
        diff=TemplateState.diff,
        number=TemplateState.number,
        older=TemplateState.older,
        against=TemplateState.against,
        on_choose=TemplateState.compare_with,
        split=TemplateState.split,
        on_split=TemplateState.set_split,
    )


def _overview() -> rx.Component:
    shown = TemplateState.shown
    return rx.el.div(
        rx.cond(shown.description, rx.el.p(shown.description, class_name="lead")),
        rx.el.div(plan_preview(TemplateState.plan), class_name="panel box-body"),
        box("Parameters", params_table(TemplateState.params)),
        class_name="stack lib-stack",
    )


def _ready() -> rx.Component:
    tabs = [
        (key, word, TemplateState.show_tab(key))
        for key, word in (("overview", "Overview"), ("changes", "Changes"), ("source", "YAML"))
    ]
    return rx.fragment(
        template_head(TemplateState.shown, TemplateState.row, _actions()),
        rx.cond(
            TemplateState.number != TemplateState.newest,
            rx.el.div(
                notice(
                    "warn",
                    "This is an older version.",
                    "New runs use the newest one; runs that pinned this one keep it.",
                ),
                class_name="gap-below",
            ),
        ),
        rx.el.div(
            rx.el.aside(
                box(
                    "Versions",
                    history(
                        TemplateState.versions, TemplateState.shown.slug, TemplateState.number, TemplateState.newest
                    ),
                ),
                class_name="run-side",
            ),
            rx.el.div(
                segment_links(tabs, TemplateState.tab, "What is shown"),
                rx.match(
                    TemplateState.tab,
                    ("changes", _changes()),
                    ("source", source_panel(TemplateState.source, TemplateState.number, TemplateState.row.digest)),
                    _overview(),
                ),
                class_name="stack lib-stack",
            ),
            class_name="template-grid",
        ),
    )


def template() -> rx.Component:
    """The page."""
    back = back_link("All templates", "/templates")
    return page(
        rx.el.main(
            rx.match(
                TemplateState.phase,
                ("ready", _ready()),
                ("problem", problem(TemplateState.problem_title, TemplateState.problem_text, "book-x", back)),
                table_loading(),
            ),
            class_name="main main-wide",
            id="main",
        ),
        active="templates",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        crumbs=(
            nav_link("Templates", to="/templates"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span(TemplateState.shown.title, class_name="cut"),
        ),
    )
