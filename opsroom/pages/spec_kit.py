"""Spec Kit, `/spec-kit`: the bundles of the repository and of the control plane, and a form that makes a new one."""

# Reflex gives a Var the attributes of what it stands for at run time only.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import asyncio
from typing import Any

import reflex as rx

from opsroom.components.basics import blank, problem
from opsroom.components.library import page_head, table_loading
from opsroom.components.library_views import BundleRow
from opsroom.components.shell import page, user_menu
from opsroom.components.spec_kit import bundles_table, generate_form
from opsroom.control_plane.errors import ControlPlaneUnreachable
from opsroom.domain.errors import NotAuthenticated, OpsRoomError, VersionConflict
from opsroom.domain.spec_kit import SpecInputError, generate_bundle
from opsroom.room.bundles import address, from_repository, in_repository, repository_row, room_row
from opsroom.room.viewer import LOAD_AGAIN_SECONDS, Viewer, arrive, refusal, signed_in, to_sign_in


class SpecKitState(rx.State):
    """What the list and the form show."""

    phase: rx.Field[str] = rx.field("loading")
    problem_title: rx.Field[str] = rx.field("")
    problem_text: rx.Field[str] = rx.field("")
    rows: rx.Field[list[BundleRow]] = rx.field(default_factory=list)
    error: rx.Field[str] = rx.field("")
    busy: rx.Field[bool] = rx.field(False)

    @rx.event
    async def load(self) -> Any:
        """Read and validate the bundles."""
        try:
            sign_in = await arrive(self)
            kept = await sign_in.control_plane.specs()
            beside = [repository_row(from_repository(slug)) for slug in in_repository()]
            self.rows = [*beside, *(room_row(spec) for spec in kept)]
            self.phase, self.error, self.busy = "ready", "", False
        except NotAuthenticated:
            return to_sign_in(self)
        except OpsRoomError as error:
            self.phase, self.problem_title, self.problem_text = "problem", error.message, error.hint or ""
            if isinstance(error, ControlPlaneUnreachable):
                return SpecKitState.load_again

    @rx.event(background=True)
    async def load_again(self) -> Any:
        """Try once more after a while."""
        await asyncio.sleep(LOAD_AGAIN_SECONDS)
        return SpecKitState.load

    @rx.event
    async def generate(self, form: dict[str, Any]) -> Any:
        """Make the four files, keep them in the control plane, and show them."""
        texts = {name: str(form.get(name) or "") for name in ("name", "slug", "description", "goals")}
        goals = [line.strip(" \t-*") for line in texts["goals"].splitlines() if line.strip(" \t-*")]
        try:
            room = signed_in(self).control_plane
            bundle = generate_bundle(texts["name"], texts["description"], goals, texts["slug"].strip() or None)
            self.error, self.busy = "", True
            yield
            saved = await room.save_spec(bundle.slug, dict(bundle), base_version=0)
            yield rx.redirect(address(saved.slug, "room"))
            yield rx.toast.success(f"{saved.slug} is generated")
        except SpecInputError as error:
            self.error = error.message[:1].upper() + error.message[1:] + "."
        except VersionConflict:
            self.error = "The control plane keeps another bundle under this slug. Choose another slug."
        except NotAuthenticated as error:
            yield refusal(error)
        except OpsRoomError as error:
            self.error = f"{error.message} {error.hint or ''}"
        self.busy = False


def spec_kit() -> rx.Component:
    """The page."""
    nothing = rx.el.div(
        blank("scroll-text", "There are no bundles yet", "Generate one, or push one with `opsroom spec push`."),
        class_name="panel",
    )
    ready = rx.fragment(
        page_head(
            "Spec Kit", "What a project is for, what it must do, how, and in which steps: four files, one bundle."
        ),
        rx.el.div(
            rx.cond(SpecKitState.rows.length() > 0, bundles_table(SpecKitState.rows), nothing),
            generate_form(
                error=SpecKitState.error,
                busy=SpecKitState.busy,
                may=Viewer.may_operate,
                on_submit=SpecKitState.generate,
            ),
            class_name="spec-grid",
        ),
    )
    return page(
        rx.el.main(
            rx.match(
                SpecKitState.phase,
                ("ready", ready),
                ("problem", problem(SpecKitState.problem_title, SpecKitState.problem_text)),
                table_loading(),
            ),
            class_name="main main-narrow",
            id="main",
        ),
        active="spec-kit",
        account=user_menu(Viewer.name, Viewer.initials, Viewer.email, Viewer.role),
    )
