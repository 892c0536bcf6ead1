"""The room: the Reflex app, its pages, and the server it is mounted into."""

import reflex as rx

from opsroom.components.browser import command_bar
from opsroom.components.notices import notices
from opsroom.components.shell import starting
from opsroom.pages.approvals import ApprovalsState, approvals
from opsroom.pages.artifact import ArtifactState, artifact
from opsroom.pages.board import BoardState, board
from opsroom.pages.bundle import BundleState, bundle
from opsroom.pages.command import CommandState, command
from opsroom.pages.compare import CompareState, compare
from opsroom.pages.insights import InsightsState, insights
from opsroom.pages.launch import LaunchState, launch
from opsroom.pages.members import MembersState, members
from opsroom.pages.not_found import not_found
from opsroom.pages.run import RunState, run
from opsroom.pages.runs import RunsState, runs
from opsroom.pages.setup import SetupState, setup
from opsroom.pages.sign_in import SignInState, sign_in
from opsroom.pages.spec_kit import SpecKitState, spec_kit
from opsroom.pages.template import TemplateState, template
from opsroom.pages.template_editor import EditorState, template_editor
from opsroom.pages.templates import TemplatesState, templates
from opsroom.pages.workers import WorkersState, workers
from opsroom.room import broadcast
from opsroom.room.attention import Attention
from opsroom.room.server import server

STYLES = (
    "fonts",
    "tokens",
    "base",
    "controls",
    "shell",
    "navigation",
    "command",
    "board",
    "fleet",
    "peek",
    "run",
    "gates",
    "steps",
    "log",
    "artifact",
    "launch",
    "params",
    "plan",
    "words",
    "runs",
    "insights",
    "workers",
    "library",
    "editor",
    "diff",
    "compare",
)


def beside_the_pages(_: bool) -> rx.Component:
    """What outlives a change of page: the command bar, and what a person is told of."""
    told = notices(needs=Attention.needs, notes=Attention.notes, as_of=Attention.freshness.as_of)
    return rx.fragment(command_bar(), told)


app = rx.App(
    stylesheets=[f"room/{name}.css" for name in STYLES],
    html_lang="en",
    head_components=[rx.el.link(rel="icon", href="/room/mark.svg", type="image/svg+xml")],
    app_wraps={(5, "beside the pages"): beside_the_pages},
    hydrate_fallback=starting,
    toaster=rx.toast.provider(position="bottom-right", visible_toasts=4, offset="16px", rich_colors=False),
    api_transformer=server(),
)
broadcast.bind(app)

app.add_page(board, route="/", title="Board · Ops Control Room", on_load=BoardState.load)
app.add_page(board, route="/sessions/[session]", title="Board · Ops Control Room", on_load=BoardState.load)
app.add_page(launch, route="/sessions/[session]/launch", title="Launch · Ops Control Room", on_load=LaunchState.load)
app.add_page(runs, route="/runs", title="Runs · Ops Control Room", on_load=RunsState.load)
app.add_page(command, route="/command", title="Command · Ops Control Room", on_load=CommandState.load)
app.add_page(run, route="/runs/[run]", title="Run · Ops Control Room", on_load=RunState.load)
app.add_page(compare, route="/compare", title="Compare · Ops Control Room", on_load=CompareState.load)
app.add_page(approvals, route="/approvals", title="Approvals · Ops Control Room", on_load=ApprovalsState.load)
app.add_page(
    artifact,
    route="/runs/[run]/artifacts/[artifact]",
    title="Artifact · Ops Control Room",
    on_load=ArtifactState.load,
)
app.add_page(workers, route="/workers", title="Workers · Ops Control Room", on_load=WorkersState.load)
app.add_page(insights, route="/insights", title="Insights · Ops Control Room", on_load=InsightsState.load)
app.add_page(templates, route="/templates", title="Templates · Ops Control Room", on_load=TemplatesState.load)
app.add_page(template_editor, route="/templates/new", title="New template · Ops Control Room", on_load=EditorState.load)
app.add_page(
    template, route="/templates/[template_slug]", title="Template · Ops Control Room", on_load=TemplateState.load
)
app.add_page(
    template_editor,
    route="/templates/[template_slug]/edit",
    title="Edit a template · Ops Control Room",
    on_load=EditorState.load,
)
app.add_page(spec_kit, route="/spec-kit", title="Spec Kit · Ops Control Room", on_load=SpecKitState.load)
app.add_page(bundle, route="/spec-kit/[spec_slug]", title="Spec Kit · Ops Control Room", on_load=BundleState.load)
app.add_page(members, route="/members", title="Members · Ops Control Room", on_load=MembersState.load)
app.add_page(setup, route="/setup", title="Setup · Ops Control Room", on_load=SetupState.load)
app.add_page(sign_in, route="/sign-in", title="Sign in · Ops Control Room", on_load=SignInState.load)
app.add_page(not_found, route="404", title="Not found · Ops Control Room")
