"""The editor of templates: YAML, checked as one types, beside the launch form and the plan that it gives."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from typing import Any, Final

import reflex as rx
from reflex_components_core.react_router import link as nav_link

from opsroom.components.basics import notice, problem, skeleton
from opsroom.components.browser import code_editor, params_form
from opsroom.components.library import back_link
from opsroom.components.library_views import Diff, Problem
from opsroom.components.shell import page, user_menu
from opsroom.components.template_editing import conflict_panel, editor_foot, editor_preview
from opsroom.components.views import FieldView, PlanView
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import InvalidTemplate, NotAuthenticated, OpsRoomError, VersionConflict
from opsroom.domain.template import Template
from opsroom.room.diff import compare
from opsroom.room.params_form import check, fields, read_tree, typed, untyped
from opsroom.room.plan import plan_view
from opsroom.room.template_text import BEGINNING, as_yaml, locate, read_text
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, refusal, signed_in, to_sign_in

SAVED: Final = rx.call_script("window.dispatchEvent(new Event('opsroom:saved'))")


class EditorState(rx.State):
    """One text that is being edited. `base` is the version it is made from, 0 for a new template."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    slug: rx.Field[str] = rx.field("")
    key: rx.Field[str] = rx.field("")
    start: rx.Field[str] = rx.field("")
    base: rx.Field[int] = rx.field(0)
    on_top: rx.Field[int] = rx.field(0)
    draft: rx.Field[str] = rx.field("")
    problems: rx.Field[list[Problem]] = rx.field(default_factory=list)
    verdict: rx.Field[str] = rx.field("")
    verdict_state: rx.Field[str] = rx.field("pending")
    title: rx.Field[str] = rx.field("")
    plan: rx.Field[PlanView] = rx.field(default_factory=PlanView)
    form_fields: rx.Field[list[FieldView]] = rx.field(default_factory=list)
    form_start: rx.Field[dict[str, Any]] = rx.field(default_factory=dict)
    form_errors: rx.Field[dict[str, str]] = rx.field(default_factory=dict)
    form_key: rx.Field[str] = rx.field("")
    saving: rx.Field[bool] = rx.field(False)
    conflict: rx.Field[str] = rx.field("")
    conflict_diff: rx.Field[Diff] = rx.field(default_factory=Diff)
    conflict_version: rx.Field[int] = rx.field(0)
    _schema: dict[str, Any] = {}  # noqa: RUF012 - Reflex copies a state's defaults

    @rx.event
    async def load(self) -> Any:
        """Put the newest version into the editor, or the beginning of a new one."""
        parts = self.router.url.path.strip("/").split("/")
        self.slug = "" if parts[1] == "new" else parts[1]
        self.phase, self.saving, self.conflict, self.problems, self.on_top = "loading", False, "", [], 0
        try:
            sign_in = await arrive(self)
            member = await sign_in.member()
            if self.slug:
                found = await sign_in.control_plane.template(self.slug)
                self.start, self.base = as_yaml(found.spec), found.version
            else:
                self.start, self.base = BEGINNING, 0
            self.key = f"{self.slug}.{self.base}.{self.router.session.client_token}"
            self.draft = f"opsroom.draft.{member.email}.{self.slug or 'new'}"
            self.phase = "ready"
            return EditorState.edit(self.start)
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                return EditorState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return EditorState.load

    @rx.event
    async def edit(self, text: str) -> Any:
        """The text has changed: say what is wrong with it, show what it would be, and ask the control plane too."""
        try:
            room = signed_in(self).control_plane
            reading = read_text(text)
            self.problems = list(reading.problems)
            if reading.template is None:
                count = len(reading.problems)
                self._say("failed", "One finding" if count == 1 else f"{count} findings")
                return
            self._preview(reading.template)
            self._say("pending", "The control plane is asked…")
            yield
            verdict = await room.validate_template(reading.template.spec())
            if not verdict.valid:
                self.problems = list(locate(text, verdict.errors))
                self._say("failed", "The control plane refuses it")
            elif verdict.unchanged:
                self._say("succeeded", f"Valid, and the same as version {verdict.newest}")
            elif verdict.newest and not (self.slug and verdict.slug == self.slug):
                self._say("warn", f"Valid, but there is a template {verdict.slug} already")
            else:
                self._say("succeeded", f"Valid: saving makes version {(verdict.newest or 0) + 1} of {verdict.slug}")
        except NotAuthenticated as error:
            yield refusal(error)
        except OpsRoomError as error:
            self._say("warn", f"Valid here; the control plane could not be asked: {error.message}")

    def _say(self, state: str, text: str) -> None:
        self.verdict_state, self.verdict = state, text

    def _preview(self, template: Template) -> None:
        self.title, self.plan = template.title, plan_view(template.spec())
        key = hashlib.sha256(json.dumps(template.params).encode()).hexdigest()
        if key != self.form_key:
            self._schema, self.form_key = dict(template.params), key
            self.form_fields, self.form_errors = fields(self._schema), {}
            self.form_start = untyped({"type": "object", **self._schema}, {}) if self.form_fields else {}

    @rx.event
    def try_form(self, texts: str) -> None:
        """The form is tried: it says what is wrong as the launch form would."""
        self.form_errors = check(self._schema, typed(self._schema, read_tree(texts)))

    @rx.event
    async def save(self, form: dict[str, Any]) -> Any:
        """Save as a new version, unless somebody else did since."""
        if self.saving:
            return
        text, base = str(form.get("source") or ""), str(form.get("base") or "")
        try:
            room = signed_in(self).control_plane
            reading = read_text(text)
            self.problems, self.conflict = list(reading.problems), ""
            if reading.template is None:
                self._say("failed", "Not saved: correct what is found")
                return
            self.saving = True
            yield
            wanted = int(base) if base.isdecimal() and reading.template.slug == self.slug else 0
            saved = await room.save_template(reading.template.spec(), base_version=wanted)
            self.saving = False
            yield SAVED
            yield rx.redirect(f"/templates/{saved.slug}")
            yield rx.toast.success(f"{saved.title} is at version {saved.version}")
        except VersionConflict as error:
            self.saving = False
            async for step in self._meet(error, text):
                yield step
        except InvalidTemplate as error:
            self.saving, self.problems = False, list(locate(text, error.fields))
            self._say("failed", "The control plane refuses it")
        except OpsRoomError as error:
            self.saving = False
            self._say("failed", f"Not saved: {error.message}")
            yield refusal(error)

    async def _meet(self, error: VersionConflict, text: str) -> AsyncGenerator[Any, None]:
        """Somebody else has saved: show both, and lose neither."""
        reading = read_text(text)
        slug = reading.template.slug if reading.template else self.slug
        try:
            theirs = await signed_in(self).control_plane.template(slug)
        except OpsRoomError as other:
            yield refusal(other)
            return
        self.conflict, self.conflict_version = error.message, theirs.version
        self.conflict_diff = compare(as_yaml(theirs.spec), text)
        self._say("failed", "Not saved: somebody else has saved a version")

    @rx.event
    def save_on_top(self) -> None:
        """The person has seen the other version: from now on theirs is made from it."""
        self.on_top, self.conflict = self.conflict_version, ""
        self._say("warn", f"Saving now makes version {self.on_top + 1}, in place of what version {self.on_top} says")


def _form() -> rx.Component:
    return rx.cond(
        EditorState.form_fields.length() > 0,
        params_form(
            fields=EditorState.form_fields,
            start=EditorState.form_start,
            errors=EditorState.form_errors,
            attempt=0,
            memory="",
            filled=True,
            on_edit=EditorState.try_form,
            key=EditorState.form_key,
        ),
        rx.el.p("It takes no params.", class_name="faint"),
    )


def _ready() -> rx.Component:
    admin = Viewer.role == "admin"
    return rx.fragment(
        rx.el.header(
            rx.el.div(
                rx.el.h1(rx.cond(EditorState.slug, f"Edit {EditorState.slug}", "New template")),
                rx.el.p(
                    rx.cond(
                        EditorState.base > 0,
                        f"From version {EditorState.base}. Every save is a new version; runs keep the one they pinned.",
                        "Its slug names it for ever. Every save is a new version.",
                    ),
                    class_name="muted",
                ),
                class_name="stack grow",
            ),
            class_name="lib-head",
        ),
        rx.cond(
            admin,
            rx.fragment(),
            rx.el.div(
                notice(
                    "info", "You can try changes here, but not save them.", "Saving templates needs the role admin."
                ),
                class_name="gap-below",
            ),
        ),
        rx.cond(
            EditorState.conflict,
            conflict_panel(
                EditorState.conflict, EditorState.conflict_diff, EditorState.conflict_version, EditorState.save_on_top
            ),
        ),
        rx.el.div(
            rx.el.form(
                code_editor(
                    start=EditorState.start,
                    base=EditorState.base,
                    on_top=EditorState.on_top,
                    draft=EditorState.draft,
                    problems=EditorState.problems,
                    read_only=False,
                    label="The template as YAML",
                    on_edit=EditorState.edit,
                    key=EditorState.key,
                ),
                editor_foot(
                    verdict=EditorState.verdict,
                    state=EditorState.verdict_state,
                    saving=EditorState.saving,
                    disabled=~admin | EditorState.saving | (EditorState.problems.length() > 0),
                    why=rx.cond(admin, "Save as a new version (Ctrl/⌘ S)", "Saving templates needs the role admin."),
                    back=rx.cond(EditorState.slug, f"/templates/{EditorState.slug}", "/templates"),
                ),
                on_submit=EditorState.save,
                reset_on_submit=False,
                class_name="panel editor-panel",
                aria_label="Editor",
            ),
            editor_preview(EditorState.title, EditorState.plan, EditorState.problems.length() > 0, _form()),
            class_name="editor-grid",
        ),
    )


def template_editor() -> rx.Component:
    """The page."""
    loading = rx.el.div(
        skeleton("220px", "26px"),
        rx.el.div(skeleton("100%", "60vh"), skeleton("100%", "60vh"), class_name="editor-grid"),
        class_name="stack lib-stack",
    )
    back = back_link("All templates", "/templates")
    return page(
        rx.el.main(
            rx.match(
                EditorState.phase,
                ("ready", _ready()),
                ("problem", problem(EditorState.problem_title, EditorState.problem_text, "book-x", back)),
                loading,
            ),
            class_name="main main-wide",
            id="main",
        ),
        active="templates",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
        crumbs=(
            nav_link("Templates", to="/templates"),
            rx.icon("chevron-right", size=14, aria_hidden=True),
            rx.el.span(rx.cond(EditorState.slug, EditorState.slug, "New template"), class_name="cut"),
        ),
    )
