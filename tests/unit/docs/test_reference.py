"""Pages that list things of the code list all of them."""

import re
from typing import get_args

from opsroom.domain.lifecycle import EDGES, ROLES, Reason, RunStatus, StepStatus
from opsroom.domain.params import FORMATS, KEYWORDS
from opsroom.domain.spec_kit import RULES, validate_bundle
from opsroom.domain.template import ArtifactRule, Retry, StepDefinition, StepKind, Template, parse_yaml
from tests.unit.docs.repository import ROOT

DATABASE = (ROOT / "docs/database.md").read_text()


def migrations() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "supabase/migrations").glob("*.sql")))


def test_this_project_passes_its_own_validation() -> None:
    report = validate_bundle(ROOT, "ops-control-room")
    assert report.findings == () and report.counts.tasks_done > 0


def test_the_page_about_spec_kit_lists_every_rule_with_its_severity() -> None:
    page = (ROOT / "docs/spec-kit.md").read_text()
    listed = dict(re.findall(r"^\| `(SK\d{3})` \| (error|warning) \|", page, re.MULTILINE))
    assert listed == {rule.id: rule.severity for rule in RULES.values()}


def test_the_drawn_lifecycle_is_the_lifecycle() -> None:
    drawing = DATABASE[: DATABASE.index("## The life of a step")]
    drawn = set(re.findall(r"^    (\w+) --> (\w+):", drawing, re.MULTILINE))
    assert drawn == EDGES


def test_every_status_reason_and_role_is_explained() -> None:
    for word in (*get_args(RunStatus), *get_args(StepStatus)):
        assert word in DATABASE
    for word in get_args(Reason):
        assert f"| `{word}` |" in DATABASE
    security = (ROOT / "docs/security.md").read_text()
    assert [role for role in re.findall(r"^\| (\w+) \| ", security, re.MULTILINE) if role in ROLES] == list(ROLES)


def test_every_table_and_every_public_function_is_listed() -> None:
    sql = migrations()
    tables = set(re.findall(r"create table public\.(\w+)", sql))
    functions = set(re.findall(r"create (?:or replace )?function public\.(\w+)", sql))
    assert len(tables) > 10 and len(functions) > 20
    assert {name for name in tables if f"| `{name}` |" not in DATABASE} == set()
    assert {name for name in functions if f"`{name}" not in DATABASE} == set()


def test_a_release_defines_each_function_once() -> None:
    """A release's migrations are those of one day. Two definitions in one release: the later one hides the other."""
    seen: dict[tuple[str, str], str] = {}
    for path in sorted((ROOT / "supabase/migrations").glob("*.sql")):
        for name in re.findall(r"^create (?:or replace )?function (\S+?)\(", path.read_text(), re.MULTILINE):
            first = seen.setdefault((path.name[:8], name), path.name)
            assert first == path.name, f"{name} is defined in {first} and in {path.name}"


def test_functions_are_listed_with_those_who_may_call_them() -> None:
    grants = re.findall(r"grant execute on function([^;]+?)\bto ([\w, ]+);", migrations())
    rows = re.findall(r"^\| ((?:`\w+(?:\(\))?`(?:, )?)+) \| ([\w, ]+) \|", DATABASE, re.MULTILINE)
    documented = {name: callers.strip() for names, callers in rows for name in re.findall(r"\w+", names)}
    for names, callers in grants:
        for name in re.findall(r"public\.(\w+)\(", names):
            assert documented.get(name) == callers.strip(), name


def test_every_type_of_event_is_listed() -> None:
    sql = migrations()
    quoted = re.findall(r"(audit\(\s*|action = )?'((?:run|step|artifact)\.\w+|late_evidence)'", sql)
    written = {name for audited, name in quoted if not audited}
    assert {"run.claimed", "artifact.added", "late_evidence"} <= written
    worker = re.search(r"not in \(('step\.started'[^)]+)\)", sql)
    assert worker
    for name in written | set(re.findall(r"'([\w.]+)'", worker[1])):
        assert f"`{name}`" in DATABASE, name


def test_the_page_about_templates_has_an_example_that_is_valid_and_every_key() -> None:
    page = (ROOT / "docs/templates.md").read_text()
    example = re.search(r"```yaml\n(slug:.*?)```", page, re.DOTALL)
    assert example and parse_yaml(example[1]).steps
    for model in (Template, StepDefinition):
        for name, field in model.model_fields.items():
            assert f"| `{field.alias or name}` |" in page
    for word in (*Retry.model_fields, *ArtifactRule.model_fields, *KEYWORDS, *FORMATS, *get_args(StepKind)):
        assert word in page
