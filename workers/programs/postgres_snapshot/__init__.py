"""A verified dump of a Postgres database: `python -m workers.programs.postgres_snapshot STEP`.

The steps share the working directory and leave `snapshot.dump` and `manifest.json`:

- check: the database answers, the tools are there and new enough;
- dump: rows are counted and pg_dump runs in the same database snapshot, so the two belong together;
- list: pg_restore reads the archive's table of contents, and its SHA-256 is taken;
- restore: the archive is restored into a scratch database on the same server, rows are counted, and it is dropped;
- compare: every table must have as many rows as in the snapshot.

The connection URL is in SNAPSHOT_CONNECTION, the optional schema in PARAM_SCHEMA.
"""
