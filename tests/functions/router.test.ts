import assert from "node:assert/strict";
import type { Caller } from "../../supabase/functions/ops-executor/auth.ts";
import { type Database, fromDatabase } from "../../supabase/functions/ops-executor/database.ts";
import type { LogFields } from "../../supabase/functions/ops-executor/log.ts";
import { OPERATIONS } from "../../supabase/functions/ops-executor/operations.ts";
import { PROBLEMS } from "../../supabase/functions/ops-executor/problem.ts";
import { createHandler } from "../../supabase/functions/ops-executor/router.ts";

const SECRET = "sb_secret_of_the_service";
const RUN = "00000000-0000-4000-8000-000000000001";
const settings = { url: "http://localhost:1", publishableKey: "public", secretKeys: [SECRET], publicKeys: ["public"] };

/** The database behind the function, at its one seam; the contract tests use the real one. */
class Recorder implements Database {
  readonly calls: { name: string; args: Record<string, unknown>; caller: Caller }[] = [];
  answer: () => unknown = () => ({ verdict: "started" });
  readonly log: LogFields[] = [];

  call(name: string, args: Record<string, unknown>, caller: Caller): Promise<unknown> {
    this.calls.push({ name, args, caller });
    return new Promise((resolve) => resolve(this.answer()));
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const handler = createHandler({ settings, database: this, log: (fields) => this.log.push(fields) });
    return handler(new Request(`http://localhost${path}`, init));
  }

  start(path = "/v1/runs.start", headers: Record<string, string> = {}): Promise<Response> {
    return this.fetch(path, {
      method: "POST",
      headers: { apikey: SECRET, "content-type": "application/json", ...headers },
      body: JSON.stringify({ run_id: RUN, claim_token: RUN }),
    });
  }
}

Deno.test("every way of stripping the path reaches the operation", async () => {
  for (const prefix of ["", "/ops-executor", "/functions/v1/ops-executor", "/functions/v1"]) {
    const database = new Recorder();
    const response = await database.start(`${prefix}/v1/runs.start`);
    assert.deepEqual(await response.json(), { verdict: "started" });
    assert.deepEqual(database.calls, [{
      name: "start_run",
      args: { p_run_id: RUN, p_claim_token: RUN },
      caller: { kind: "service", key: SECRET },
    }]);
  }
});

Deno.test("an unknown path is a 404 problem", async () => {
  for (
    const path of [
      "/",
      "/v1/",
      "/v1/runs.destroy",
      "/v2/runs.start",
      "/v1/runs.start/",
      "/v1/__proto__",
      "/ops-executor",
    ]
  ) {
    const response = await new Recorder().start(path);
    assert.equal(response.status, 404, path);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.equal((await response.json()).code, "not_found");
  }
});

Deno.test("a wrong method is 405 with Allow; OPTIONS answers a preflight", async () => {
  const database = new Recorder();
  const wrong = await database.fetch("/v1/runs.start");
  assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "POST, OPTIONS"]);
  assert.equal((await database.fetch("/v1/health", { method: "DELETE" })).headers.get("allow"), "GET, OPTIONS");
  const preflight = await database.fetch("/v1/runs.start", { method: "OPTIONS" });
  assert.equal(preflight.status, 204);
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /authorization/);
});

Deno.test("a problem carries everything a client needs, and the request id", async () => {
  const response = await new Recorder().fetch("/v1/runs.start", {
    method: "POST",
    headers: { "x-request-id": "abc-1" },
  });
  assert.equal(response.headers.get("x-request-id"), "abc-1");
  assert.equal(response.headers.get("www-authenticate"), "Bearer");
  const problem = await response.json();
  assert.deepEqual({ ...problem, hint: undefined, detail: undefined }, {
    type: "urn:ops-control-room:problem:not_authenticated",
    title: PROBLEMS.not_authenticated.title,
    status: 401,
    detail: undefined,
    instance: "urn:ops-control-room:request:abc-1",
    code: "not_authenticated",
    errors: [],
    hint: undefined,
  });
});

Deno.test("answers and problems are never cached or sniffed", async () => {
  const database = new Recorder();
  for (const response of [await database.start(), await database.fetch("/v1/nothing")]) {
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  }
});

Deno.test("a request id that could forge a log line is replaced", async () => {
  const response = await new Recorder().start("/v1/runs.start", { "x-request-id": 'x","level":"error' });
  assert.match(response.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
});

Deno.test("the database's errors keep their code, sentence, hint and field errors", async () => {
  const database = new Recorder();
  database.answer = () => {
    throw fromDatabase(
      {
        code: "ORV01",
        message: "Param branch is required.",
        hint: "Give a branch.",
        details: '[{"path":"/branch","code":"required","message":"Is required."}]',
      },
      400,
      "create_run",
    );
  };
  const response = await database.start();
  const { status, code, detail, hint, errors } = await response.json();
  assert.deepEqual([status, code, detail, hint], [
    422,
    "invalid_params",
    "Param branch is required.",
    "Give a branch.",
  ]);
  assert.deepEqual(errors, [{ path: "/branch", code: "required", message: "Is required." }]);
});

Deno.test("an unreachable database is 503 with Retry-After and no host names", async () => {
  const network = {
    message: "TypeError: connect 10.0.0.7:5432 refused",
    details: "at file:///x.ts",
    hint: "",
    code: "",
  };
  const pool = { code: "PGRST003", message: "pool at 10.0.0.7 timed out" };
  for (
    const problem of [fromDatabase(network, 0, "f"), fromDatabase(network, 502, "f"), fromDatabase(pool, 504, "f")]
  ) {
    const response = problem.toResponse("1");
    assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "2"]);
    assert.doesNotMatch(await response.text(), /10\.0\.0\.7|file:/);
  }
});

Deno.test("a fault of our own is 500, logged with its stack and answered without", async () => {
  const database = new Recorder();
  database.answer = () => {
    throw new Error("connection string postgres://user:hunter2@db");
  };
  const response = await database.start();
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /hunter2|router\.ts/);
  assert.match(JSON.stringify(database.log), /unexpected error.*router\.test\.ts/);
});

Deno.test("the log has no body, no token and no query string", async () => {
  const database = new Recorder();
  await database.start("/v1/runs.start?token=hunter2", { authorization: "Bearer nonsense" });
  await database.start("/v1/hunter2");
  assert.equal(database.log.length, 2);
  assert.doesNotMatch(JSON.stringify(database.log), new RegExp(`hunter2|nonsense|${SECRET}|${RUN}`));
  assert.deepEqual(database.log[0], {
    ...database.log[0],
    level: "info",
    message: "request",
    status: 401,
    code: "invalid_token",
  });
});

Deno.test("health is ok when the database refuses, and 503 when it is silent", async () => {
  const database = new Recorder();
  database.answer = () => {
    throw fromDatabase({ code: "42501", message: "permission denied for function whoami" }, 401, "whoami");
  };
  assert.deepEqual(await (await database.fetch("/v1/health")).json(), { status: "ok" });
  for (const [code, status] of [["", 0], ["PGRST202", 404]] as const) {
    database.answer = () => {
      throw fromDatabase({ code, message: "" }, status, "whoami");
    };
    assert.equal((await database.fetch("/v1/health")).status, 503);
  }
});

Deno.test("the OpenAPI document describes every operation, and every reference resolves", async () => {
  const document = await (await new Recorder().fetch("/functions/v1/ops-executor/v1/openapi.json")).json();
  assert.deepEqual(
    Object.keys(document.paths).sort(),
    [...Object.keys(OPERATIONS), "health"].map((name) => `/${name}`).sort(),
  );
  const body = document.paths["/runs.create"].post.requestBody.content["application/json"].schema;
  assert.deepEqual([body.additionalProperties, body.required], [false, ["session_id", "template"]]);
  for (const [, reference] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    assert.ok(reference!.split("/").reduce((node, key) => node?.[key], document), reference);
  }
});
