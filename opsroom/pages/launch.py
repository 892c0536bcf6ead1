"""Launching, `/sessions/<id>/launch`: pick a template, fill in its form, choose a lane. `?rerun=<run>` starts from an
old run.
"""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import datetime as dt
import uuid
from typing import Any, cast

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, problem
from opsroom.components.forms import param_field, plan
from opsroom.components.launch_parts import how_it_runs, launch_loading, nothing_picked, template_picker
from opsroom.components.shell import page, user_menu
from opsroom.components.views import FieldView, TemplateView
from opsroom.control_plane.models import Template
from opsroom.domain.errors import InvalidParams, NotAuthenticated, OpsRoomError
from opsroom.domain.lifecycle import LANES, Lane
from opsroom.room.params_form import PREFIX, by_field, check, fields, typed
from opsroom.room.present import template_view
from opsroom.room.viewer import Viewer, arrive, refusal, signed_in, to_sign_in


class LaunchState(rx.State):
    """The form of one launch. Each load of the page is a new form with its own key, so a second click launches nothing
    new.
    """

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    target: rx.Field[str] = rx.field("")
    target_title: rx.Field[str] = rx.field("")
    templates: rx.Field[list[TemplateView]] = rx.field(default_factory=list)
    query: rx.Field[str] = rx.field("")
    chosen: rx.Field[TemplateView] = rx.field(default_factory=TemplateView)
    form_fields: rx.Field[list[FieldView]] = rx.field(default_factory=list)
    errors: rx.Field[dict[str, str]] = rx.field(default_factory=dict)
    lane: rx.Field[str] = rx.field("A")
    title: rx.Field[str] = rx.field("")
    rerun_of: rx.Field[str] = rx.field("")
    refused: rx.Field[str] = rx.field("")
    launching: rx.Field[bool] = rx.field(False)
    form_key: rx.Field[str] = rx.field("")
    _schema: dict[str, Any] = {}  # noqa: RUF012 - Reflex copies a state's defaults
    _texts: dict[str, Any] = {}  # noqa: RUF012

    @rx.event
    async def load(self) -> Any:
        """Read the templates and the one that is asked for."""
        try:
            sign_in = await arrive(self)
            query = self.router.url.query_parameters
            self.target = self.router.url.path.strip("/").split("/")[1]
            room = sign_in.control_plane
            board = await room.read_board(self.target)
            self.target_title = board.session.title
            if board.session.archived_at:
                self.phase, self.problem_title = "problem", "This session is archived."
                self.problem_text = "Reopen it on the board to launch into it."
                return None
            templates = await room.templates()
            self.templates = [template_view(template) for template in templates]
            self.lane = query.get("lane") if query.get("lane") in LANES else "A"
            self.rerun_of = query.get("rerun") or ""
            if self.rerun_of:
                old = (await room.read_run(self.rerun_of)).run
                self.lane, self.title = query.get("lane") or old.lane, old.title
                self._choose(await room.template(old.template_slug, old.template_version), dict(old.params))
            else:
                self.title = ""
                self._choose(next((item for item in templates if item.slug == query.get("template")), None), {})
            self.phase = "ready"
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""

    def _choose(self, template: Template | None, values: dict[str, Any]) -> None:
        self.form_key, self.errors, self.refused, self.launching = str(uuid.uuid4()), {}, "", False
        self.chosen = template_view(template) if template else TemplateView()
        self._schema = dict(template.params_schema) if template else {}
        self.form_fields = fields(self._schema, values)
        self._texts = {PREFIX + item.name: item.value for item in self.form_fields}

    @rx.event
    def put_away(self) -> None:
        """The page was left: whoever comes back must not find this form, for another lane, until theirs is there."""
        self.phase, self.form_key = "loading", ""

    @rx.event
    def search(self, text: str) -> None:
        """Narrow the list of templates."""
        self.query = text

    @rx.event
    def edit(self, name: str, value: str) -> None:
        """A field is being typed into: say what is wrong with what is there, not what is missing yet."""
        self._judge(name, value, ignore_missing=True)

    @rx.event
    def leave(self, name: str, value: str) -> None:
        """A field was left."""
        self._judge(name, value, ignore_missing=False)

    def _judge(self, name: str, value: str, *, ignore_missing: bool) -> None:
        self._texts[PREFIX + name] = value
        wrong = check(self._schema, typed(self._schema, self._texts)).get(name, "")
        if ignore_missing and not value.strip():
            wrong = ""
        others = {key: text for key, text in self.errors.items() if key != name}
        self.errors = {**others, name: wrong} if wrong else others

    @rx.event
    async def launch(self, form: dict[str, Any]) -> Any:
        """Check everything, queue the run, go to the board. The database checks again and has the last word."""
        if self.launching:
            return
        if form.get("form_key") != self.form_key:
            self.refused = "This form has changed meanwhile. Look at it once more, then launch."
            return
        params = typed(self._schema, form)
        self.errors, self.refused = check(self._schema, params), ""
        priority, not_before = self._settings(form)
        if self.errors:
            self._refuse()
            yield rx.set_focus(PREFIX + next(iter(self.errors)))
            return
        self.launching = True
        yield
        try:
            room = signed_in(self).control_plane
            lane = cast(Lane, form.get("lane") or self.lane)
            if self.rerun_of:
                run = await room.rerun(self.rerun_of, params=params, lane=lane, idempotency_key=self.form_key)
            else:
                run = await room.create_run(
                    self.target,
                    self.chosen.slug,
                    params,
                    lane=lane,
                    priority=priority,
                    not_before=not_before,
                    title=str(form.get("title") or "").strip() or None,
                    idempotency_key=self.form_key,
                )
        except InvalidParams as error:
            self.errors, self.launching = by_field(error.fields), False
            self._refuse(self.errors.get("") or ("" if self.errors else error.message))
        except NotAuthenticated as error:
            yield refusal(error)
        except OpsRoomError as error:
            self.launching = False
            self.refused = f"{error.message} {error.hint or ''}".strip()
        else:
            yield rx.redirect(f"/sessions/{run.session_id}")
            yield rx.toast.success(f"Queued in lane {run.lane}", description=run.title)

    def _settings(self, form: dict[str, Any]) -> tuple[int, dt.datetime | None]:
        """Priority and earliest start; what is wrong with them goes to `errors`."""
        priority, not_before = 0, None
        text = str(form.get("priority") or "0").strip()
        if text.removeprefix("-").isdecimal() and -100 <= int(text) <= 100:
            priority = int(text)
        else:
            self.errors["+priority"] = "A whole number from -100 to 100."
        if when := str(form.get("not_before") or ""):
            try:
                not_before = dt.datetime.fromisoformat(when).replace(tzinfo=dt.UTC)
            except ValueError:
                self.errors["+not_before"] = "A date and a time."
        return priority, not_before

    def _refuse(self, text: str = "") -> None:
        count = sum(1 for name in self.errors if name)
        fields_text = "One field needs to be corrected." if count == 1 else f"{count} fields need to be corrected."
        self.refused = text or fields_text


def _template_href(slug: rx.Var[str]) -> rx.Var[str]:
    return rx.Var.create(f"/sessions/{LaunchState.target}/launch?template={slug}&lane={LaunchState.lane}")


def _form() -> rx.Component:
    chosen, errors = LaunchState.chosen, LaunchState.errors
    return rx.el.form(
        rx.el.input(type="hidden", name="form_key", value=LaunchState.form_key, read_only=True),
        rx.el.div(
            rx.el.div(
                rx.el.h2(chosen.title, style={"fontSize": "var(--t-16)"}),
                rx.el.span(chosen.slug, " ", chosen.version, class_name="faint mono"),
                class_name="row",
                style={"alignItems": "baseline", "flexWrap": "wrap"},
            ),
            rx.el.p(chosen.description, class_name="muted", style={"maxWidth": "78ch"}),
            plan(chosen),
            rx.match(
                chosen.risk,
                ("warn", notice("warn", "This changes things.", "Read what it does before you launch it.")),
                ("block", notice("failed", "This is dangerous.", "What it does may not be undone.")),
                rx.fragment(),
            ),
            class_name="form-part",
        ),
        rx.cond(
            LaunchState.form_fields.length() > 0,
            rx.el.div(
                rx.el.h2("Parameters"),
                rx.el.div(
                    rx.foreach(
                        LaunchState.form_fields,
                        lambda item: rx.fragment(
                            param_field(item, errors.get(item.name, ""), LaunchState.edit, LaunchState.leave),
                            key=item.name,
                        ),
                    ),
                    class_name="form-grid",
                ),
                class_name="form-part",
            ),
        ),
        how_it_runs(chosen, LaunchState.lane, LaunchState.title, LaunchState.errors, LaunchState.rerun_of != ""),
        rx.el.div(
            rx.cond(
                LaunchState.refused,
                rx.el.div(
                    rx.icon("circle-alert", size=14, aria_hidden=True),
                    rx.el.span(LaunchState.refused),
                    class_name="field-error",
                    role="alert",
                    style={"marginRight": "auto"},
                ),
            ),
            nav_link("Back", to=f"/sessions/{LaunchState.target}", class_name="btn"),
            rx.el.button(
                rx.cond(
                    LaunchState.launching,
                    rx.icon("loader-circle", size=15, class_name="spin", aria_hidden=True),
                    rx.icon("play", size=14, aria_hidden=True),
                ),
                rx.cond(LaunchState.rerun_of, "Run again", "Launch"),
                type="submit",
                class_name="btn btn-primary",
                disabled=LaunchState.launching | ~Viewer.may_operate | ~chosen.enabled,
                title=rx.cond(
                    Viewer.may_operate, "", "Viewers cannot launch runs. Ask an admin for the role operator."
                ),
            ),
            class_name="launch-foot",
        ),
        key=LaunchState.form_key,
        on_submit=LaunchState.launch,
        reset_on_submit=False,
        no_validate=True,
        class_name="panel launch-form",
        aria_label="Launch",
    )


def launch() -> rx.Component:
    """The page."""
    to_board = nav_link("Go to the board", to="/", class_name="btn")
    ready = rx.el.div(
        template_picker(
            LaunchState.templates, LaunchState.chosen.slug, LaunchState.query, LaunchState.search, _template_href
        ),
        rx.cond(LaunchState.chosen.slug, _form(), nothing_picked()),
        class_name="launch",
    )
    return page(
        rx.el.main(
            rx.match(
                LaunchState.phase,
                ("ready", ready),
                (
                    "problem",
                    problem(LaunchState.problem_title, LaunchState.problem_text, "unplug", to_board),
                ),
                launch_loading(),
            ),
            class_name="main main-narrow",
            id="main",
            on_unmount=LaunchState.put_away,
        ),
        active="board",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        crumbs=(
            nav_link(LaunchState.target_title, to=f"/sessions/{LaunchState.target}", class_name="cut"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span(rx.cond(LaunchState.rerun_of, "Run again", "Launch")),
        ),
    )
