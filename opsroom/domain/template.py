"""Templates: the definition of a runbook, strict and typed.

A definition is written as YAML in `templates/` or sent as JSON to `save_template`; the database stores the JSON,
numbers the version and pins it by the SHA-256 of its canonical JSON (RFC 8785). Every key: `docs/templates.md`.
"""

import hashlib
import json
from typing import Annotated, Any, Final, Literal, Self

import rfc8785
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opsroom.domain.errors import FieldError, InvalidTemplate
from opsroom.domain.params_schema import check_schema, refuse

StepKind = Literal["noop", "shell", "http", "sql", "spec_kit", "gate"]
VerifierKind = Literal["http", "shell", "sql", "json_schema", "checksum", "file", "ci"]
RollbackKind = Literal["shell", "http", "sql"]
ApproverRole = Literal["approver", "admin"]
ArtifactKind = Literal["file", "markdown", "json", "link", "diff", "image", "html", "archive"]
Risk = Literal["info", "warn", "block"]
RetryOn = Literal["failed", "lost", "timed_out"]

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
SecretName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,62}$")]
Seconds = Annotated[int, Field(ge=1, le=7 * 24 * 3600)]

MAX_STEPS: Final = 100


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class ArtifactRule(_Strict):
    """Files of the run's working directory that a step leaves behind: `path` is a glob relative to it."""

    path: Annotated[str, Field(min_length=1, max_length=256)]
    kind: ArtifactKind | None = None
    required: bool = True


class Retry(_Strict):
    """When a run that ended gets a successor of itself; `attempts` counts the first run too."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 1
    on: tuple[RetryOn, ...] = ()
    backoff_seconds: Annotated[int, Field(ge=0, le=3600)] = 5
    max_backoff_seconds: Annotated[int, Field(ge=0, le=86400)] = 3600


class RateLimit(_Strict):
    """At most `runs` runs of the template are claimed in any `per_seconds` seconds."""

    runs: Annotated[int, Field(ge=1, le=10_000)]
    per_seconds: Annotated[int, Field(ge=1, le=86_400)]


class Retention(_Strict):
    """How long after a run's end the text of its log, and the bytes of its large artifacts, are kept: in days, None is
    for ever. An artifact of `large_artifact_bytes` or more is a large one; the others stay, and so do bundles.
    """

    logs_days: Annotated[int | None, Field(ge=1, le=36_500)] = 90
    artifacts_days: Annotated[int | None, Field(ge=1, le=36_500)] = 90
    large_artifact_bytes: Annotated[int, Field(ge=0, le=1 << 40)] = 1 << 20


class Approval(_Strict):
    """Whose approval is waited for: of `approvers` persons with at least `role`, within `expires_seconds`. Who created
    the run is not one of them, unless `self_approval` says so.
    """

    approvers: Annotated[int, Field(ge=1, le=5)] = 1
    role: ApproverRole = "approver"
    self_approval: bool = False
    expires_seconds: Annotated[int, Field(ge=60, le=30 * 24 * 3600)] = 24 * 3600
    instructions: Annotated[str, Field(max_length=2000)] = ""


class Verifier(_Strict):
    """A check that makes a proof. One that is `required` fails the run when it does not pass."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    kind: VerifierKind
    required: bool = True
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    inputs: Annotated[dict[str, Any], Field(alias="with")] = {}


class Rollback(_Strict):
    """How a step's effect is undone when a later required verifier does not pass."""

    title: Annotated[str, Field(min_length=1, max_length=120)]
    kind: RollbackKind
    timeout_seconds: Seconds = 600
    inputs: Annotated[dict[str, Any], Field(alias="with")] = {}


class Normalise(_Strict):
    """Every match of `pattern`, in the syntax of RE2, counts as the text `replace`."""

    pattern: Annotated[str, Field(min_length=1, max_length=500)]
    replace: Annotated[str, Field(max_length=200)] = ""


class Compare(_Strict):
    """How a replay is compared with the run that it repeats: `ignore` are JSON Pointers into JSON artifacts, where `*`
    is any key or index; `artifacts` are globs of those that are compared.
    """

    output: bool = True
    artifacts: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(max_length=50)] = (
        "**",
    )
    ignore: Annotated[tuple[Annotated[str, Field(pattern=r"^/", max_length=500)], ...], Field(max_length=50)] = ()
    normalise: Annotated[tuple[Normalise, ...], Field(max_length=20)] = ()


class StepDefinition(_Strict):
    id: StepId
    title: Annotated[str, Field(min_length=1, max_length=120)]
    kind: StepKind
    needs: tuple[StepId, ...] = ()
    timeout_seconds: Seconds = 600
    inputs: Annotated[dict[str, Any], Field(alias="with")] = {}
    artifacts: tuple[ArtifactRule, ...] = ()
    required: bool = True
    preconditions: Annotated[tuple[Verifier, ...], Field(max_length=20)] = ()
    verifiers: Annotated[tuple[Verifier, ...], Field(max_length=20)] = ()
    rollback: Rollback | None = None

    @model_validator(mode="after")
    def _a_gate_only_waits(self) -> Self:
        if self.kind == "gate":
            Approval.model_validate(self.inputs)
            if self.artifacts or self.preconditions or self.verifiers or self.rollback or not self.required:
                raise ValueError(
                    f"gate {self.id} waits for a person and does nothing else: it is required, and has no checks"
                )
        names = [verifier.name for verifier in (*self.preconditions, *self.verifiers)]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(
                f"checks of step {self.id} must have names of their own; repeated: {', '.join(sorted(repeated))}"
            )
        return self


class Template(_Strict):
    slug: Slug
    title: Annotated[str, Field(min_length=1, max_length=120)]
    description: Annotated[str, Field(max_length=4000)] = ""
    risk: Risk = "info"
    params: dict[str, Any] = {}
    timeout_seconds: Seconds = 3600
    lease_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    queue_timeout_seconds: Seconds | None = None
    retry: Retry = Retry()
    concurrency_key: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    rate_limit: RateLimit | None = None
    deterministic: bool = False
    compare: Compare | None = None
    approval: Approval | None = None
    retention: Retention = Retention()
    secrets: tuple[SecretName, ...] = ()
    steps: Annotated[tuple[StepDefinition, ...], Field(min_length=1, max_length=MAX_STEPS)]

    @model_validator(mode="after")
    def _steps_form_a_graph(self) -> Self:
        ids = [step.id for step in self.steps]
        if repeated := {i for i in ids if ids.count(i) > 1}:
            last = max(position for position, i in enumerate(ids) if i in repeated)
            refuse(f"/steps/{last}/id", f"step ids must be unique; repeated: {', '.join(sorted(repeated))}")
        for position, step in enumerate(self.steps):
            if unknown := set(step.needs) - set(ids):
                names = ", ".join(sorted(unknown))
                refuse(f"/steps/{position}/needs", f"step {step.id} needs a step that does not exist: {names}")
        done: set[str] = set()
        while ready := [s.id for s in self.steps if s.id not in done and done.issuperset(s.needs)]:
            done.update(ready)
        if cyclic := [i for i in ids if i not in done]:
            place = f"/steps/{ids.index(cyclic[0])}/needs"
            refuse(place, f"steps wait for each other in a circle: {', '.join(cyclic)}")
        return self

    @model_validator(mode="after")
    def _params_stay_in_the_subset(self) -> Self:
        check_schema(self.params, "/params", top=True)
        return self

    @model_validator(mode="after")
    def _only_what_repeats_is_compared(self) -> Self:
        if self.compare and not self.deterministic:
            refuse("/compare", "says how replays are compared, and only deterministic templates are replayed")
        for place, rule in enumerate(self.compare.normalise if self.compare else ()):
            _check_pattern(rule.pattern, f"/compare/normalise/{place}/pattern")
        return self

    @property
    def needed_approval(self) -> Approval | None:
        """The approval that a run waits for before its first step. One of risk `block` always needs one."""
        return self.approval or (Approval() if self.risk == "block" else None)

    def spec(self) -> dict[str, Any]:
        """The definition as JSON, as the database stores it: only what differs from the defaults."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def parse_yaml(text: str) -> Template:
    """The template written in `text`. Raises InvalidTemplate with every finding at its path."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidTemplate(f"the template is not valid YAML: {error}", hint="Correct the line named.") from error
    return parse(value)


def parse(value: Any) -> Template:
    """The template that the JSON object `value` defines. Raises InvalidTemplate with every finding at its path."""
    try:
        return Template.model_validate_json(json.dumps(value, allow_nan=False))
    except ValidationError as error:
        fields = [
            FieldError(
                path=e.get("ctx", {}).get("path") or "".join(f"/{p}" for p in e["loc"]),
                code=e["type"],
                message=e["msg"],
            )
            for e in error.errors(include_url=False)
        ]
        summary = "; ".join(f"{f.path or '/'}: {f.message}" for f in fields[:5])
        raise InvalidTemplate(
            f"the template is not valid: {summary}", hint="See docs/templates.md for every key.", fields=fields
        ) from error
    except (TypeError, ValueError) as error:
        raise InvalidTemplate(
            f"the template is not JSON: {error}", hint="Use strings, numbers and booleans."
        ) from error


def digest(spec: dict[str, Any]) -> str:
    """The digest that pins a version: SHA-256, lower-case hex, over the canonical JSON of its spec."""
    return hashlib.sha256(rfc8785.dumps(spec)).hexdigest()


def _check_pattern(pattern: str, path: str) -> None:
    from opsroom.domain.patterns import InvalidPattern, compiled  # only for templates that have one

    try:
        compiled(pattern)
    except InvalidPattern as error:
        refuse(path, f"is not a pattern of RE2: {error}")
