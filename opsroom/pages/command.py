"""Plain words, `/command`: a line becomes a proposal of runs, which a person confirms. Nothing launches by itself."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import uuid
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import blank, notice, problem, skeleton
from opsroom.components.command_views import ProposalView, line_form, proposal, target_choice
from opsroom.components.shell import page, user_menu
from opsroom.control_plane.models import Template
from opsroom.domain.errors import NotAuthenticated, OpsRoomError
from opsroom.domain.plain_words import Reading, read_line
from opsroom.room.language_model import configured
from opsroom.room.proposal import launch, proposal_view, runbooks
from opsroom.room.viewer import Viewer, arrive, refusal, signed_in, to_sign_in


class CommandState(rx.State):
    """One line and what it was read as. Each reading has a key of its own: confirming it twice queues nothing twice."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    line: rx.Field[str] = rx.field("")
    first_line: rx.Field[str] = rx.field("")
    sessions: rx.Field[list[list[str]]] = rx.field(default_factory=list)
    target: rx.Field[str] = rx.field("")
    view: rx.Field[ProposalView] = rx.field(default_factory=ProposalView)
    model: rx.Field[str] = rx.field("")
    asking: rx.Field[bool] = rx.field(False)
    launching: rx.Field[bool] = rx.field(False)
    queued: rx.Field[list[str]] = rx.field(default_factory=list)
    refused: rx.Field[str] = rx.field("")
    form_key: rx.Field[str] = rx.field("")
    _reading: Reading = Reading()
    _templates: list[Template] = []  # noqa: RUF012 - Reflex copies a state's defaults

    @rx.event
    async def load(self) -> Any:
        """Read the templates and the sessions that are open; `?q=` is a line to begin with."""
        self.phase = "loading"
        try:
            sign_in = await arrive(self)
            room = sign_in.control_plane
            self._templates = list(await room.templates())
            found = (await room.search_room("", limit=50)).sessions
            self.sessions = [[item.id, item.title] for item in found if not item.archived_at]
            known = [item[0] for item in self.sessions]
            if self.target not in known:
                self.target = known[0] if known else ""
            model = configured()
            self.model = model.name if model else ""
            self.first_line = self.router.url.query_parameters.get("q") or ""
            self.form_key = str(uuid.uuid4())
            self._take(self.first_line)
            self.phase = "ready"
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""

    @rx.event
    def read(self, text: str) -> None:
        """The line is being typed: show what it means so far."""
        self._take(text)

    @rx.event
    def submit(self, form: dict[str, Any]) -> Any:
        """Enter reads the line, and puts the button that launches under the next Enter; it launches nothing."""
        self._take(str(form.get("line") or ""))
        return rx.call_script("document.getElementById('launch-proposal')?.focus()") if self.view.ready else None

    def _take(self, text: str) -> None:
        if text == self.line and self.view.by and not self.queued:
            return
        self.line, self.refused, self.queued = text[:2000], "", []
        try:
            self._show(read_line(self.line, runbooks(self._templates)), "words")
        except OpsRoomError as error:
            self.refused = error.message

    def _show(self, reading: Reading, by: str) -> None:
        self._reading = reading
        self.view = proposal_view(reading, self._templates, self.target, by=by, key=str(uuid.uuid4()))

    @rx.event
    def choose(self, session_id: str) -> None:
        """Into another session."""
        self.target = session_id
        self._show(self._reading, self.view.by)

    @rx.event
    async def ask(self) -> Any:
        """Let the language model read the line."""
        model = configured()
        if model is None or self.asking:
            return
        self.asking, self.refused = True, ""
        yield
        try:
            signed_in(self)
            self._show(await model.read(self.line, runbooks(self._templates)), model.name)
        except NotAuthenticated as error:
            yield refusal(error)
        except OpsRoomError as error:
            self.refused = f"{error.message} {error.hint or ''}".strip()
        self.asking = False

    @rx.event
    async def launch(self, key: str) -> Any:
        """The person confirmed the proposal that is on screen."""
        if self.launching or not self.view.ready or not self.target:
            return
        if key != self.view.key:
            self.refused = "This proposal has changed meanwhile. Look at it once more, then launch."
            return
        self.launching, self.refused = True, ""
        yield
        try:
            room = signed_in(self).control_plane
            self.queued, self.refused = await launch(room, self.target, self._reading.runs, key)
        except NotAuthenticated as error:
            yield refusal(error)
        self.launching = False
        if self.queued and not self.refused:
            yield rx.redirect(f"/sessions/{self.target}")
            count = len(self.queued)
            yield rx.toast.success(f"Queued {count} run{'s' if count > 1 else ''}", description=", ".join(self.queued))


def _actions() -> tuple[rx.Component, ...]:
    count = CommandState.view.runs.length()
    return (
        rx.cond(CommandState.model != "", _ask()),
        rx.el.button(
            rx.cond(
                CommandState.launching,
                rx.icon("loader-circle", size=15, class_name="spin", aria_hidden=True),
                rx.icon("play", size=14, aria_hidden=True),
            ),
            rx.cond(count > 1, rx.fragment("Launch these ", count, " runs"), "Launch this run"),
            type="button",
            id="launch-proposal",
            class_name="btn btn-primary",
            on_click=CommandState.launch(CommandState.view.key),
            disabled=~CommandState.view.ready
            | CommandState.launching
            | ~Viewer.may_operate
            | (CommandState.target == ""),
            title=rx.cond(Viewer.may_operate, "", "Viewers cannot launch runs. Ask an admin for the role operator."),
        ),
    )


def _ask() -> rx.Component:
    return rx.el.button(
        rx.cond(
            CommandState.asking,
            rx.icon("loader-circle", size=15, class_name="spin", aria_hidden=True),
            rx.icon("sparkles", size=14, aria_hidden=True),
        ),
        "Let ",
        CommandState.model,
        " read it",
        type="button",
        class_name="btn",
        on_click=CommandState.ask,
        disabled=CommandState.asking | (CommandState.line == ""),
        title="Sends the line and the templates' descriptions to the configured language model. It launches nothing.",
    )


def _help() -> rx.Component:
    return rx.el.div(
        rx.el.p("Name a template by words of its title, then its values. Then you see what would be launched."),
        rx.el.p(
            rx.el.code("then"),
            " puts the next run behind the one before, in its lane; ",
            rx.el.code("and"),
            " beside it.",
        ),
        rx.el.p(
            rx.el.code("in lane B"),
            ", ",
            rx.el.code("name=value"),
            ", ",
            rx.el.code('"several words"'),
            " are taken as they are.",
        ),
        class_name="panel words-help",
        style={"padding": "var(--s-4)"},
    )


def _ready() -> rx.Component:
    view = CommandState.view
    nothing = rx.el.div(
        blank("circle-help", "No template is named in this", "Use a word of a template's title, or its slug."),
        rx.cond(CommandState.model != "", rx.el.div(_ask(), class_name="row", style={"justifyContent": "center"})),
        class_name="panel",
        style={"paddingBottom": "var(--s-4)"},
    )
    return rx.el.div(
        rx.el.h1("Say it in plain words"),
        line_form(CommandState.form_key, CommandState.first_line, CommandState.submit, CommandState.read),
        rx.cond(
            CommandState.sessions.length() > 0,
            target_choice(CommandState.target, CommandState.sessions, CommandState.choose),
            notice("warn", "There is no open session to launch into.", "Create one on the board."),
        ),
        rx.cond(
            CommandState.refused,
            rx.el.div(
                notice("failed", CommandState.refused),
                rx.foreach(CommandState.queued, lambda text: rx.el.p("Queued: ", text, class_name="muted")),
            ),
        ),
        rx.cond(
            view.runs.length() > 0,
            proposal(view, *_actions()),
            rx.cond(CommandState.line.strip() != "", nothing, _help()),
        ),
        class_name="words",
    )


def command() -> rx.Component:
    """The page."""
    to_board = nav_link("Go to the board", to="/", class_name="btn")
    loading = rx.el.div(skeleton("40%", "24px"), skeleton("100%", "48px"), class_name="words", aria_hidden=True)
    return page(
        rx.el.main(
            rx.match(
                CommandState.phase,
                ("ready", _ready()),
                ("problem", problem(CommandState.problem_title, CommandState.problem_text, "unplug", to_board)),
                loading,
            ),
            class_name="main main-narrow",
            id="main",
        ),
        active="command",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
    )
