-- Written by `opsroom templates seed` from templates/*.yaml: change those, not this file.
-- Running it again is harmless: a definition that is stored already makes no new version.

select private.seed_template('{
  "slug": "http-healthcheck",
  "title": "Check an HTTP address",
  "description": "Sends one GET request and checks the status and, if given, a text in the body. The answer is attached as JSON.",
  "params": {
    "type": "object",
    "required": [
      "url"
    ],
    "properties": {
      "url": {
        "type": "string",
        "title": "Address",
        "description": "Redirects are not followed.",
        "examples": [
          "https://example.com/health"
        ],
        "format": "uri",
        "pattern": "^https?://[^\\s]+$",
        "maxLength": 2000
      },
      "expected_status": {
        "type": "array",
        "title": "Expected status",
        "description": "Any of these is fine.",
        "default": [
          200
        ],
        "minItems": 1,
        "maxItems": 20,
        "uniqueItems": true,
        "items": {
          "type": "integer",
          "minimum": 100,
          "maximum": 599
        }
      },
      "contains": {
        "type": "string",
        "title": "Body contains",
        "description": "A text that the body must have; nothing is checked when it is empty.",
        "minLength": 1,
        "maxLength": 1000
      },
      "timeout_seconds": {
        "type": "integer",
        "title": "Timeout in seconds",
        "default": 10,
        "minimum": 1,
        "maximum": 120
      }
    }
  },
  "timeout_seconds": 180,
  "steps": [
    {
      "id": "request",
      "title": "Send the request",
      "kind": "http",
      "timeout_seconds": 150,
      "with": {
        "method": "GET",
        "url": "{{ params.url }}",
        "timeout_seconds": "{{ params.timeout_seconds }}",
        "expect": {
          "status": "{{ params.expected_status }}",
          "body_contains": "{{ params.contains }}"
        }
      },
      "artifacts": [
        {
          "path": "request.json",
          "kind": "json"
        }
      ]
    }
  ]
}'::json);

select private.seed_template('{
  "slug": "postgres-snapshot",
  "title": "Snapshot a Postgres database",
  "description": "Dumps a database with pg_dump, reads the archive back, restores it into a scratch database on the same server (always dropped afterwards) and compares the rows of every table with the snapshot that was dumped. Attaches the dump and a manifest with its SHA-256. The role needs to read everything that is dumped, and CREATEDB.",
  "risk": "warn",
  "params": {
    "type": "object",
    "required": [
      "connection"
    ],
    "properties": {
      "connection": {
        "type": "string",
        "title": "Connection",
        "description": "The name of a secret of the worker, OPSROOM_SECRET_<name>, that holds a postgresql:// address.",
        "format": "secret-ref",
        "default": "EMBEDDED_DATABASE"
      },
      "schema": {
        "type": "string",
        "title": "Schema",
        "description": "Only this schema; everything when it is empty.",
        "maxLength": 63,
        "pattern": "^[A-Za-z_][A-Za-z0-9_$]*$"
      }
    }
  },
  "timeout_seconds": 14400,
  "steps": [
    {
      "id": "check",
      "title": "Check the server and the tools",
      "kind": "shell",
      "timeout_seconds": 60,
      "with": {
        "env": {
          "SNAPSHOT_CONNECTION": "{{ secrets[params.connection] }}"
        },
        "script": "exec \"$WORKER_PYTHON\" -m workers.programs.postgres_snapshot check"
      }
    },
    {
      "id": "dump",
      "title": "Dump",
      "kind": "shell",
      "needs": [
        "check"
      ],
      "timeout_seconds": 7200,
      "with": {
        "env": {
          "SNAPSHOT_CONNECTION": "{{ secrets[params.connection] }}"
        },
        "script": "exec \"$WORKER_PYTHON\" -m workers.programs.postgres_snapshot dump"
      },
      "artifacts": [
        {
          "path": "snapshot.dump",
          "kind": "archive"
        }
      ]
    },
    {
      "id": "list",
      "title": "Read the archive back",
      "kind": "shell",
      "needs": [
        "dump"
      ],
      "with": {
        "env": {
          "SNAPSHOT_CONNECTION": "{{ secrets[params.connection] }}"
        },
        "script": "exec \"$WORKER_PYTHON\" -m workers.programs.postgres_snapshot list"
      }
    },
    {
      "id": "restore",
      "title": "Trial restore into a scratch database",
      "kind": "shell",
      "needs": [
        "list"
      ],
      "timeout_seconds": 7200,
      "with": {
        "env": {
          "SNAPSHOT_CONNECTION": "{{ secrets[params.connection] }}"
        },
        "script": "exec \"$WORKER_PYTHON\" -m workers.programs.postgres_snapshot restore"
      }
    },
    {
      "id": "compare",
      "title": "Compare the rows of every table",
      "kind": "shell",
      "needs": [
        "restore"
      ],
      "timeout_seconds": 60,
      "with": {
        "env": {
          "SNAPSHOT_CONNECTION": "{{ secrets[params.connection] }}"
        },
        "script": "exec \"$WORKER_PYTHON\" -m workers.programs.postgres_snapshot compare"
      },
      "artifacts": [
        {
          "path": "manifest.json",
          "kind": "json"
        }
      ]
    }
  ]
}'::json);

select private.seed_template('{
  "slug": "repo-checks",
  "title": "Run checks in a repository",
  "description": "Clones a git repository at a ref, runs a list of commands in it, one after the other, all of them even if one fails, and attaches a report and, if the commands changed files, the diff.",
  "risk": "warn",
  "params": {
    "type": "object",
    "required": [
      "repository",
      "commands"
    ],
    "properties": {
      "repository": {
        "type": "string",
        "title": "Repository",
        "description": "A git address, or a path on the worker; a relative one starts where the worker was started.",
        "default": ".",
        "minLength": 1,
        "maxLength": 500,
        "pattern": "^[^-\\s]"
      },
      "ref": {
        "type": "string",
        "title": "Ref",
        "description": "A branch, a tag or a commit.",
        "default": "HEAD",
        "maxLength": 200,
        "pattern": "^[A-Za-z0-9_][A-Za-z0-9_./-]*$"
      },
      "commands": {
        "type": "array",
        "title": "Commands",
        "description": "One bash command each, run in the root of the clone.",
        "examples": [
          [
            "make test",
            "make lint"
          ]
        ],
        "minItems": 1,
        "maxItems": 50,
        "items": {
          "type": "string",
          "minLength": 1,
          "maxLength": 4000
        }
      }
    }
  },
  "steps": [
    {
      "id": "clone",
      "title": "Clone the repository",
      "kind": "shell",
      "with": {
        "env": {
          "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"
        },
        "script": "case \"$PARAM_REPOSITORY\" in\n  /* | *://* | *@*:*) source=\"$PARAM_REPOSITORY\" ;;\n  *) source=\"$WORKER_DIRECTORY/$PARAM_REPOSITORY\" ;;\nesac\ngit clone --quiet --no-checkout -- \"$source\" repository\ncd repository\ncommit=$(git rev-parse --verify --quiet \"origin/$PARAM_REF^{commit}\" || git rev-parse --verify --quiet \"$PARAM_REF^{commit}\") || {\n  echo \"there is no branch, tag or commit $PARAM_REF\" >&2\n  exit 1\n}\ngit checkout --quiet --detach \"$commit\"\ngit log -1 --format=''%H %s''\n"
      }
    },
    {
      "id": "check",
      "title": "Run the commands",
      "kind": "shell",
      "needs": [
        "clone"
      ],
      "timeout_seconds": 3000,
      "with": {
        "args": [
          "{{ params.commands }}"
        ],
        "script": "cd repository\nreport=\"$WORKDIR/checks.md\"\nleave_diff() {\n  git add --all --intent-to-add\n  git diff > \"$WORKDIR/changes.diff\"\n  [ -s \"$WORKDIR/changes.diff\" ] || rm \"$WORKDIR/changes.diff\"\n}\ntrap leave_diff EXIT\nprintf ''# Checks at %s\\n\\n| command | exit code | seconds |\\n|---|---|---|\\n'' \"$(git rev-parse HEAD)\" > \"$report\"\nfailed=0\nfor command in \"$@\"; do\n  printf ''$ %s\\n'' \"$command\"\n  began=$SECONDS code=0\n  bash -euo pipefail -c \"$command\" || code=$?\n  [ \"$code\" = 0 ] || { echo \"exit code $code\" >&2; failed=1; }\n  shown=${command//|/\\\\|}\n  printf ''| `%s` | %s | %s |\\n'' \"${shown//$''\\n''/ }\" \"$code\" \"$((SECONDS - began))\" >> \"$report\"\ndone\nexit \"$failed\"\n"
      },
      "artifacts": [
        {
          "path": "checks.md",
          "kind": "markdown"
        },
        {
          "path": "changes.diff",
          "kind": "diff",
          "required": false
        }
      ]
    }
  ]
}'::json);

select private.seed_template('{
  "slug": "spec-kit-generate",
  "title": "Generate a Spec Kit bundle",
  "description": "Writes constitution.md, prd.md, plan.md and tasks.md from a name, a description and goals, validates them, and attaches each file and a zip of all four. The same input gives the same bytes.",
  "params": {
    "type": "object",
    "required": [
      "name",
      "description",
      "goals"
    ],
    "properties": {
      "name": {
        "type": "string",
        "title": "Name",
        "description": "What the project is called; the slug is made from it.",
        "examples": [
          "Invoice Exporter"
        ],
        "minLength": 1,
        "maxLength": 120
      },
      "description": {
        "type": "string",
        "title": "Description",
        "description": "One paragraph; what it does, and for whom.",
        "format": "multiline",
        "minLength": 1,
        "maxLength": 4000
      },
      "goals": {
        "type": "array",
        "title": "Goals",
        "description": "One sentence each; every goal becomes a requirement with its tasks.",
        "minItems": 1,
        "maxItems": 50,
        "uniqueItems": true,
        "items": {
          "type": "string",
          "minLength": 1,
          "maxLength": 300
        }
      },
      "slug": {
        "type": "string",
        "title": "Slug",
        "description": "The folder under spec/; made from the name when it is empty.",
        "maxLength": 64,
        "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"
      }
    }
  },
  "timeout_seconds": 300,
  "deterministic": true,
  "steps": [
    {
      "id": "generate",
      "title": "Write and validate the four files",
      "kind": "spec_kit",
      "timeout_seconds": 120,
      "with": {
        "action": "generate",
        "name": "{{ params.name }}",
        "description": "{{ params.description }}",
        "goals": "{{ params.goals }}",
        "slug": "{{ params.slug }}"
      },
      "artifacts": [
        {
          "path": "spec/*/*.md",
          "kind": "markdown"
        },
        {
          "path": "*.zip",
          "kind": "archive"
        },
        {
          "path": "report.json",
          "kind": "json"
        }
      ]
    }
  ]
}'::json);

select private.seed_template('{
  "slug": "spec-kit-validate",
  "title": "Validate a Spec Kit bundle",
  "description": "Checks the four files of spec/<slug>/ in a repository: mandatory sections, unique ids, no placeholders, every requirement covered by a task, finished tasks whose files exist, an order without circles. Leaves a JSON and a Markdown report; fails with every finding on a broken bundle.",
  "params": {
    "type": "object",
    "required": [
      "repository",
      "slug"
    ],
    "properties": {
      "repository": {
        "type": "string",
        "title": "Repository",
        "description": "A git address to clone, or a path on the worker; a relative one starts where the worker was started.",
        "default": ".",
        "minLength": 1,
        "maxLength": 500,
        "pattern": "^[^-\\s]"
      },
      "slug": {
        "type": "string",
        "title": "Slug",
        "description": "The bundle''s folder under spec/.",
        "default": "ops-control-room",
        "minLength": 1,
        "maxLength": 64,
        "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"
      }
    }
  },
  "timeout_seconds": 600,
  "deterministic": true,
  "steps": [
    {
      "id": "validate",
      "title": "Validate the bundle",
      "kind": "spec_kit",
      "timeout_seconds": 300,
      "with": {
        "action": "validate",
        "repository": "{{ params.repository }}",
        "slug": "{{ params.slug }}"
      },
      "artifacts": [
        {
          "path": "report.json",
          "kind": "json"
        },
        {
          "path": "report.md",
          "kind": "markdown"
        }
      ]
    }
  ]
}'::json);
