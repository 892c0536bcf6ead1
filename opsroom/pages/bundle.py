"""A Spec Kit bundle, `/spec-kit/<slug>`: its files, rendered and as they are written, and what a validation says.
`?source=` repository or room, `?version=`, `?file=`, `?line=`.
"""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import plain_link, problem
from opsroom.components.browser import ago
from opsroom.components.library import back_link, segment_links, table_loading
from opsroom.components.library_views import FileTab, FindingRow, SourceLine
from opsroom.components.run import box
from opsroom.components.shell import page, user_menu
from opsroom.components.spec_kit import file_tabs, source_view, spec_findings, verdict_badge
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.domain.spec_kit import FILES
from opsroom.room.artifact_views import as_prose
from opsroom.room.bundles import find, finding_rows, source_lines, state_of, tabs, verdict_of
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, to_sign_in


class BundleState(rx.State):
    """What the page shows: one file of one bundle."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    slug: rx.Field[str] = rx.field("")
    where: rx.Field[str] = rx.field("")
    by: rx.Field[str] = rx.field("")
    at: rx.Field[str] = rx.field("")
    file: rx.Field[str] = rx.field(FILES[0])
    files: rx.Field[list[FileTab]] = rx.field(default_factory=list)
    html: rx.Field[str] = rx.field("")
    lines: rx.Field[list[SourceLine]] = rx.field(default_factory=list)
    findings: rx.Field[list[FindingRow]] = rx.field(default_factory=list)
    facts: rx.Field[list[str]] = rx.field(default_factory=list)
    state: rx.Field[str] = rx.field("succeeded")
    verdict: rx.Field[str] = rx.field("")
    as_source: rx.Field[bool] = rx.field(False)
    archive: rx.Field[str] = rx.field("")

    @rx.event
    async def load(self) -> Any:
        """Read the bundle, validate it, and show the file that the address asks for."""
        slug = self.router.url.path.strip("/").split("/")[1]
        query = self.router.url.query_parameters
        source, version, line = (str(query.get(name) or "") for name in ("source", "version", "line"))
        try:
            sign_in = await arrive(self)
            if slug != self.slug:
                self.phase = "loading"
            shown = await find(sign_in.control_plane, slug, source, version)
            wanted = str(query.get("file") or FILES[0])
            self.file = wanted if wanted in FILES else FILES[0]
            self.slug, self.by, self.at = slug, shown.by, shown.at
            self.where = (
                f"spec/{slug} of the repository" if shown.source == "repository" else f"version {shown.version}"
            )
            self.files, self.findings = tabs(shown), finding_rows(shown)
            self.html, self.lines = as_prose(shown.files[self.file]), source_lines(shown, self.file)
            self.state, self.verdict = state_of(shown.report), verdict_of(shown.report)
            counts = shown.report.counts
            self.facts = [
                f"{counts.requirements_covered} of {counts.requirements} requirements covered by a task",
                f"{counts.tasks_done} of {counts.tasks} tasks done",
            ]
            self.archive = f"/api/specs/{slug}.zip?source={shown.source}&version={shown.version}"
            self.phase = "ready"
            if line.isdecimal():
                self.as_source = True
                return rx.call_script(
                    f"setTimeout(() => document.getElementById('L{line}')?.scrollIntoView({{block: 'center'}}), 60)"
                )
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                return BundleState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return BundleState.load

    @rx.event
    def show_source(self, as_source: bool) -> None:
        """As it is written, or rendered."""
        self.as_source = as_source


def _ready() -> rx.Component:
    ways = [("false", "Rendered", BundleState.show_source(False)), ("true", "Source", BundleState.show_source(True))]
    return rx.fragment(
        rx.el.header(
            rx.el.div(
                rx.el.div(
                    rx.el.h1(BundleState.slug),
                    verdict_badge(BundleState.state, BundleState.verdict),
                    class_name="row wrap",
                ),
                rx.el.div(
                    rx.el.span(BundleState.where),
                    rx.cond(BundleState.at, rx.el.span("kept ", ago(at=BundleState.at), " by ", BundleState.by)),
                    rx.foreach(BundleState.facts, rx.el.span),
                    class_name="head-facts",
                ),
                class_name="stack grow",
                style={"gap": "4px"},
            ),
            rx.el.div(
                plain_link(
                    rx.icon("download", size=14, aria_hidden=True), "Zip", href=BundleState.archive, class_name="btn"
                ),
                class_name="head-actions",
            ),
            class_name="lib-head",
        ),
        rx.el.div(
            rx.el.section(
                rx.el.header(
                    file_tabs(BundleState.files, BundleState.file),
                    segment_links(ways, BundleState.as_source.to_string(), "How the file is shown"),
                    class_name="box-head diff-head",
                ),
                rx.cond(
                    BundleState.as_source,
                    source_view(BundleState.lines),
                    rx.html(BundleState.html, class_name="spec-prose"),
                ),
                class_name="panel clip",
                aria_label=BundleState.file,
            ),
            box("Findings", spec_findings(BundleState.findings)),
            class_name="bundle-grid",
        ),
    )


def bundle() -> rx.Component:
    """The page."""
    back = back_link("All bundles", "/spec-kit")
    return page(
        rx.el.main(
            rx.match(
                BundleState.phase,
                ("ready", _ready()),
                ("problem", problem(BundleState.problem_title, BundleState.problem_text, "scroll-text", back)),
                table_loading(),
            ),
            class_name="main main-wide",
            id="main",
        ),
        active="spec-kit",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        crumbs=(
            nav_link("Spec Kit", to="/spec-kit"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span(BundleState.slug, class_name="cut"),
        ),
    )
