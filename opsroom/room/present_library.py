"""From the read model of templates and members to what their pages draw."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from opsroom.components.library_views import MemberRow, ParamRow, TemplateRow, VersionRow
from opsroom.control_plane.library import TemplateUse, TemplateVersion
from opsroom.control_plane.models import Member
from opsroom.room.present import iso, template_view


def template_row(template: TemplateUse) -> TemplateRow:
    """A template as the list shows it."""
    view = template_view(template)
    return TemplateRow(
        slug=view.slug,
        href=f"/templates/{view.slug}",
        title=view.title,
        description=view.description,
        version=view.version,
        risk=view.risk,
        risk_word=view.risk_word,
        enabled=view.enabled,
        runs=f"{template.runs_30d:,}",
        failed=f"{template.failed_30d:,} failed" if template.failed_30d else "",
        last_used_at=iso(template.last_used_at),
        search=view.search,
    )


def version_row(version: TemplateVersion) -> VersionRow:
    """A version in a template's history."""
    return VersionRow(
        version=version.version,
        label=f"v{version.version}",
        by=version.created_by_name or "Came with the project",
        at=iso(version.created_at),
        digest=version.digest,
        short=version.digest[:12],
    )


def param_rows(schema: Mapping[str, Any]) -> list[ParamRow]:
    """The params of a template, in their order."""
    required = schema.get("required", [])
    return [
        ParamRow(
            name=name,
            title=str(sub.get("title") or ""),
            type=_type(sub),
            required=name in required,
            default=json.dumps(sub["default"], ensure_ascii=False) if "default" in sub else "",
            about=str(sub.get("description") or ""),
        )
        for name, sub in schema.get("properties", {}).items()
    ]


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    kind = str(schema.get("type", "any"))
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"list of {_type(schema['items'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def member_rows(members: Sequence[Member], you: str) -> list[MemberRow]:
    """The people of the room: those who may do most first, those whose membership is taken away last."""
    order = ("admin", "approver", "operator", "viewer")
    admins = [member for member in members if member.role == "admin" and member.disabled_at is None]
    ordered = sorted(members, key=lambda m: (m.disabled_at is not None, order.index(m.role), m.email))
    return [
        MemberRow(
            user_id=member.user_id,
            name=_name(member),
            initials="".join(part[0] for part in _name(member).replace(".", " ").replace("-", " ").split()[:2]).upper(),
            email=member.email,
            role=member.role,
            disabled=member.disabled_at is not None,
            you=member.user_id == you,
            last=[member] == admins,
            search=f"{member.email} {member.display_name} {member.role}".lower(),
        )
        for member in ordered
    ]


def _name(member: Member) -> str:
    return member.display_name or member.email.partition("@")[0]
