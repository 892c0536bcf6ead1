"""What is kept to be used again: templates with their versions, Spec Kit bundles; and the people and the state of the
room itself, as far as admins and the setup page ask for them.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from opsroom.control_plane.models import Member, Template
from opsroom.control_plane.queries import select_template
from opsroom.control_plane.rest import Rest
from opsroom.control_plane.rows import Row
from opsroom.domain.errors import FieldError, TemplateNotFound
from opsroom.domain.lifecycle import Role


class TemplateVersion(Template):
    """A version in a template's history; `created_by_name` is None for one that came with the project."""

    created_by_name: str | None = None


class TemplateUse(Template):
    """A template at its newest version, with the runs that ended in the last 30 days and when one was last claimed."""

    runs_30d: int = 0
    failed_30d: int = 0
    last_used_at: dt.datetime | None = None


class Verdict(Row):
    """What the control plane says about a template that is not saved yet. `newest` is the version there is of it."""

    valid: bool
    errors: tuple[FieldError, ...] = ()
    slug: str | None = None
    digest: str | None = None
    newest: int | None = None
    unchanged: bool = False


class SpecSummary(Row):
    """A version of a Spec Kit bundle that the control plane keeps; `newest` is the newest there is."""

    slug: str
    version: int
    newest: int
    created_at: dt.datetime
    created_by_name: str | None = None
    size_bytes: int = 0


class Spec(SpecSummary):
    """A bundle with its text, by file name."""

    files: Mapping[str, str] = Field(default_factory=dict)


class Setup(Row):
    """What the database has: its newest migration if that is recorded, templates that are enabled, workers seen within
    the last minute, admins.
    """

    migration: str | None = None
    templates: int = 0
    workers: int = 0
    admins: int = 0


class Library:
    """Templates, bundles, people and setup, as one signed-in person."""

    _rest: Rest

    async def templates(self) -> tuple[TemplateUse, ...]:
        """All templates at their newest version, by title."""
        return tuple(TemplateUse.model_validate(row) for row in await self._rest.rpc("list_templates"))

    async def template(self, slug: str, version: int | None = None) -> Template:
        """One template at its newest version, or at another. Raises TemplateNotFound."""
        rows = await self._rest.send(select_template(slug, version))
        if not rows:
            raise TemplateNotFound(f"There is no template {slug!r}.", hint="`opsroom templates` lists them.")
        return Template.model_validate(rows[0])

    async def template_versions(self, slug: str) -> tuple[TemplateVersion, ...]:
        """The last 500 versions of a template, newest first. Raises TemplateNotFound."""
        rows = await self._rest.rpc("list_template_versions", {"p_slug": slug})
        return tuple(TemplateVersion.model_validate(row) for row in rows)

    async def validate_template(self, spec: Any) -> Verdict:
        """What saving `spec` would come to, without saving it."""
        return Verdict.model_validate(await self._rest.rpc("validate_template", {"p_spec": spec}))

    async def save_template(self, spec: Mapping[str, JsonValue], *, base_version: int | None = None) -> Template:
        """Save a template as a new version, if it differs from the newest; needs admin. Raises InvalidTemplate,
        and VersionConflict when the newest is not `base_version` any more (0: the template is new).
        """
        arguments: dict[str, Any] = {"p_spec": dict(spec)}
        if base_version is not None:
            arguments["p_base_version"] = base_version
        row = await self._rest.rpc("save_template", arguments)
        return await self.template(str(row["slug"]), int(row["version"]))

    async def set_template_enabled(self, slug: str, enabled: bool) -> None:
        """Let people start runs of a template, or not; needs the role admin. Raises TemplateNotFound."""
        await self._rest.rpc("set_template_enabled", {"p_slug": slug, "p_enabled": enabled})

    async def specs(self) -> tuple[SpecSummary, ...]:
        """The bundles that the control plane keeps, latest change first."""
        return tuple(SpecSummary.model_validate(row) for row in await self._rest.rpc("list_specs"))

    async def spec(self, slug: str, version: int | None = None) -> Spec:
        """A bundle at its newest version, or at another. Raises SpecNotFound."""
        return Spec.model_validate(await self._rest.rpc("read_spec", {"p_slug": slug, "p_version": version}))

    async def save_spec(self, slug: str, files: Mapping[str, str], *, base_version: int | None = None) -> Spec:
        """Keep a bundle's four files as its next version, if they differ from the newest; needs the role operator.
        Raises VersionConflict when the newest is not `base_version` any more (0: there is none).
        """
        arguments = {"p_slug": slug, "p_files": dict(files), "p_base_version": base_version}
        return Spec.model_validate(await self._rest.rpc("save_spec", arguments))

    async def set_member(self, email: str, role: Role | None) -> Member:
        """Let a person in with a role, or with None take all away; needs admin. Raises MemberNotFound without an
        account, LastAdmin when the room would be left without one.
        """
        return Member.model_validate(await self._rest.rpc("set_member", {"p_email": email, "p_role": role}))

    async def read_setup(self) -> Setup:
        """What the database has."""
        return Setup.model_validate(await self._rest.rpc("read_setup"))
