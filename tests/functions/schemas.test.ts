import assert from "node:assert/strict";
import { OPERATIONS, sqlArguments } from "../../supabase/functions/ops-executor/operations.ts";
import { codeForSqlstate, Problem, PROBLEMS, SQLSTATES } from "../../supabase/functions/ops-executor/problem.ts";
import { validate } from "../../supabase/functions/ops-executor/schemas.ts";

const ID = "00000000-0000-4000-8000-000000000001";

/** The faults found, as "path code". */
function faults(operation: string, value: unknown): string[] {
  try {
    validate(OPERATIONS[operation]!.input, value);
  } catch (error) {
    assert.ok(error instanceof Problem);
    assert.equal(error.code, "invalid_argument");
    return (error.options.errors ?? []).map(({ path, code }) => `${path} ${code}`).sort();
  }
  return [];
}

Deno.test("what the database fills in by default is left to it", () => {
  const input = validate(OPERATIONS["runs.create"]!.input, { session_id: ID, template: "repo-checks" });
  assert.deepEqual(sqlArguments(input), { p_session_id: ID, p_template: "repo-checks" });
});

Deno.test("every fault of a request is reported at once, each with its path", () => {
  assert.deepEqual(
    faults("runs.create", { session_id: "x", lane: "E", priority: 1.5, params: [], not_before: "soon", surprise: 1 }),
    [
      "/lane enum",
      "/not_before format",
      "/params type",
      "/priority type",
      "/session_id format",
      "/surprise additional",
      "/template required",
    ],
  );
});

Deno.test("unknown keys are refused at every level, params excepted", () => {
  const claim = { run_id: ID, claim_token: ID };
  assert.deepEqual(faults("runs.heartbeat", { worker_id: ID, runs: [{ ...claim, x: 1 }] }), ["/runs/0/x additional"]);
  assert.deepEqual(faults("events.append", { ...claim, batch: 1, events: [{ type: "log", seq: 1 }] }), [
    "/events/0/seq additional",
  ]);
  assert.deepEqual(faults("runs.create", { session_id: ID, template: "t", params: { any: { thing: [1] } } }), []);
  assert.deepEqual(faults("runs.start", JSON.parse(`{"run_id":"${ID}","claim_token":"${ID}","__proto__":{}}`)), [
    "/__proto__ additional",
  ]);
});

Deno.test("types are never coerced", () => {
  assert.deepEqual(faults("runs.claim", { worker_id: ID, request_id: ID, limit: "1" }), ["/limit type"]);
  assert.deepEqual(faults("runs.claim", { worker_id: ID, request_id: ID, limit: 0 }), ["/limit minimum"]);
  assert.deepEqual(faults("runs.claim", { worker_id: 7, request_id: null, limit: true }), [
    "/limit type",
    "/request_id type",
    "/worker_id type",
  ]);
  for (const body of [null, [], "x", 1]) assert.deepEqual(faults("runs.start", body), [" type"]);
});

Deno.test("artifacts carry a digest in one spelling and links of the web only", () => {
  const put = (artifact: unknown) => faults("artifacts.put", { run_id: ID, claim_token: ID, artifact });
  const artifact = { name: "a", kind: "file", media_type: "text/plain", sha256: "a".repeat(64), size_bytes: 1 };
  assert.deepEqual(put(artifact), []);
  assert.deepEqual(put({ ...artifact, sha256: "A".repeat(64), size_bytes: -1 }), [
    "/artifact/sha256 pattern",
    "/artifact/size_bytes minimum",
  ]);
  assert.deepEqual(put({ name: "a", kind: "link", media_type: "text/html", url: "javascript:alert(1)" }), [
    "/artifact/url format",
  ]);
});

Deno.test("every SQLSTATE leads to a code of the table; unknown ones by class, never to success", () => {
  for (const code of Object.values(SQLSTATES)) assert.ok(PROBLEMS[code].status >= 400);
  assert.equal(codeForSqlstate("57P01"), "unavailable");
  assert.equal(codeForSqlstate("40P01"), "unavailable");
  assert.equal(codeForSqlstate("22P02"), "invalid_argument");
  assert.equal(codeForSqlstate("23514"), "invalid_argument");
  assert.equal(codeForSqlstate("XX000"), "internal");
  assert.equal(codeForSqlstate("P0001"), "internal");
});
