"""Launching, `/sessions/<id>/launch`: pick a template, fill in its form, choose lanes. `?rerun=<run>` starts from an
old run, `?params=<JSON>` from params that somebody wrote elsewhere.
"""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import datetime as dt
import uuid
from typing import Any

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import problem
from opsroom.components.browser import params_form
from opsroom.components.launch_parts import (
    how_it_runs,
    launch_foot,
    launch_loading,
    nothing_picked,
    template_head,
    template_picker,
)
from opsroom.components.shell import page, user_menu
from opsroom.components.views import FieldView, LaneOutcome, PlanView, TemplateView
from opsroom.control_plane.models import Template
from opsroom.domain.errors import InvalidParams, NotAuthenticated, OpsRoomError
from opsroom.domain.lifecycle import LANES, Lane
from opsroom.room.launching import Order, in_words, queue_in_lanes
from opsroom.room.params_form import by_path, check, fields, read_tree, typed, untyped
from opsroom.room.plan import plan_view
from opsroom.room.present import template_view
from opsroom.room.viewer import Viewer, arrive, refusal, signed_in, to_sign_in

REMEMBER = rx.call_script("window.dispatchEvent(new Event('opsroom:launched'))")


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
    plan: rx.Field[PlanView] = rx.field(default_factory=PlanView)
    form_fields: rx.Field[list[FieldView]] = rx.field(default_factory=list)
    start: rx.Field[dict[str, Any]] = rx.field(default_factory=dict)
    filled: rx.Field[bool] = rx.field(False)
    errors: rx.Field[dict[str, str]] = rx.field(default_factory=dict)
    how_errors: rx.Field[dict[str, str]] = rx.field(default_factory=dict)
    attempt: rx.Field[int] = rx.field(0)
    lane: rx.Field[str] = rx.field("A")
    title: rx.Field[str] = rx.field("")
    rerun_of: rx.Field[str] = rx.field("")
    refused: rx.Field[str] = rx.field("")
    outcomes: rx.Field[list[LaneOutcome]] = rx.field(default_factory=list)
    served: rx.Field[list[str]] = rx.field(default_factory=list)
    launching: rx.Field[bool] = rx.field(False)
    form_key: rx.Field[str] = rx.field("")
    _schema: dict[str, Any] = {}  # noqa: RUF012 - Reflex copies a state's defaults

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
            self.title, self.rerun_of = (query.get("title") or "")[:120], query.get("rerun") or ""
            if self.rerun_of:
                old = (await room.read_run(self.rerun_of)).run
                self.lane, self.title = query.get("lane") or old.lane, old.title
                self._choose(await room.template(old.template_slug, old.template_version), dict(old.params))
            else:
                wanted = next((item for item in templates if item.slug == query.get("template")), None)
                self._choose(wanted, read_tree(query.get("params") or ""))
            self.phase = "ready"
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""

    def _choose(self, template: Template | None, values: dict[str, Any]) -> None:
        self.form_key, self.errors, self.how_errors, self.refused, self.launching = str(uuid.uuid4()), {}, {}, "", False
        self.attempt, self.outcomes, self.served, self.filled = 0, [], [], bool(values)
        self.chosen = template_view(template) if template else TemplateView()
        self.plan = plan_view(template.spec) if template else PlanView()
        self._schema = dict(template.params_schema) if template else {}
        self.form_fields = fields(self._schema)
        self.start = untyped({"type": "object", **self._schema}, values) if self.form_fields else {}

    @rx.event
    def put_away(self) -> None:
        """The page was left: whoever comes back must not find this form, for another lane, until theirs is there."""
        self.phase, self.form_key = "loading", ""

    @rx.event
    def search(self, text: str) -> None:
        """Narrow the list of templates."""
        self.query = text

    @rx.event
    def edit(self, texts: str) -> None:
        """The form is being filled in: say what is wrong with it. The form shows what concerns the fields that were
        touched.
        """
        self.errors = check(self._schema, typed(self._schema, read_tree(texts)))

    @rx.event
    async def launch(self, form: dict[str, Any]) -> Any:
        """Check everything, queue the run in every lane, go to the board. The database checks again and has the last
        word.
        """
        if self.launching:
            return
        if form.get("form_key") != self.form_key:
            self.refused = "This form has changed meanwhile. Look at it once more, then launch."
            return
        params = typed(self._schema, read_tree(str(form.get("params") or "")))
        self.errors, self.how_errors, self.refused = check(self._schema, params), {}, ""
        priority, not_before = self._settings(form)
        lanes = self._lanes(form)
        if self.errors or self.how_errors:
            self._refuse()
            return
        self.launching = True
        yield
        order = Order(
            self.target,
            self.chosen.slug,
            params,
            self.form_key,
            priority,
            not_before,
            str(form.get("title") or "").strip() or None,
            self.rerun_of,
        )
        try:
            room = signed_in(self).control_plane
            outcomes = await queue_in_lanes(room, order, lanes)
        except InvalidParams as error:
            self.errors, self.launching = by_path(error.fields), False
            self._refuse(self.errors.get("") or ("" if self.errors else error.message))
        except NotAuthenticated as error:
            yield refusal(error)
        else:
            self.outcomes = [*(item for item in self.outcomes if item.done), *outcomes]
            self.launching = False
            self.served = done = [item.lane for item in self.outcomes if item.done]
            if outcomes and outcomes[0].done:
                yield REMEMBER
            if all(item.done for item in outcomes):
                yield rx.redirect(f"/sessions/{self.target}")
                yield rx.toast.success(f"Queued in {in_words(done)}", description=self.title or self.chosen.title)
            elif not done and len(outcomes) == 1:
                self.refused, self.outcomes = outcomes[0].text, []
            else:
                missing = in_words([item.lane for item in self.outcomes if not item.done])
                self.refused = f"Not queued in {missing}." + (f" Queued in {in_words(done)}." if done else "")

    def _lanes(self, form: dict[str, Any]) -> list[Lane]:
        """The lanes that are chosen and not served yet."""
        lanes: list[Lane] = [lane for lane in LANES if form.get(f"lane.{lane}") and lane not in self.served]
        if not lanes:
            self.how_errors["lanes"] = "Choose at least one lane."
        return lanes

    def _settings(self, form: dict[str, Any]) -> tuple[int, dt.datetime | None]:
        """Priority and earliest start; what is wrong with them goes to `how_errors`."""
        priority, not_before = 0, None
        text = str(form.get("priority") or "0").strip()
        if text.removeprefix("-").isdecimal() and -100 <= int(text) <= 100:
            priority = int(text)
        else:
            self.how_errors["priority"] = "A whole number from -100 to 100."
        if when := str(form.get("not_before") or ""):
            try:
                not_before = dt.datetime.fromisoformat(when).replace(tzinfo=dt.UTC)
            except ValueError:
                self.how_errors["not_before"] = "A date and a time."
        return priority, not_before

    def _refuse(self, text: str = "") -> None:
        self.attempt += 1
        count = sum(1 for name in (*self.errors, *self.how_errors) if name)
        fields_text = "One field needs to be corrected." if count == 1 else f"{count} fields need to be corrected."
        self.refused = text or fields_text


def _template_href(slug: rx.Var[str]) -> rx.Var[str]:
    return rx.Var.create(f"/sessions/{LaunchState.target}/launch?template={slug}&lane={LaunchState.lane}")


def _form() -> rx.Component:
    chosen = LaunchState.chosen
    again = LaunchState.rerun_of != ""
    return rx.el.form(
        rx.el.input(type="hidden", name="form_key", value=LaunchState.form_key, read_only=True),
        template_head(chosen, LaunchState.plan),
        rx.cond(
            LaunchState.form_fields.length() > 0,
            rx.el.div(
                rx.el.h2("Parameters"),
                params_form(
                    fields=LaunchState.form_fields,
                    start=LaunchState.start,
                    errors=LaunchState.errors,
                    attempt=LaunchState.attempt,
                    memory=rx.Var.create(f"opsroom.params.{Viewer.email}.{chosen.slug}"),
                    filled=LaunchState.filled,
                    on_edit=LaunchState.edit,
                ),
                class_name="form-part",
            ),
        ),
        how_it_runs(
            template=chosen,
            lane=LaunchState.lane,
            title_text=LaunchState.title,
            errors=LaunchState.how_errors,
            again=again,
            outcomes=LaunchState.outcomes,
            served=LaunchState.served,
        ),
        launch_foot(
            refused=LaunchState.refused,
            launching=LaunchState.launching,
            back=rx.Var.create(f"/sessions/{LaunchState.target}"),
            word=rx.cond(again, "Run again", "Launch"),
            may_operate=Viewer.may_operate,
            enabled=chosen.enabled,
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
