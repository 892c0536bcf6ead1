// The executor as programs meet it: through the unmodified supabase-js. Started by test_supabase_js.py with a live stack.

import assert from "node:assert/strict";
import { createClient, FunctionsHttpError, type SupabaseClient } from "npm:@supabase/supabase-js@2.119.1";
import { OPERATIONS } from "../../supabase/functions/ops-executor/operations.ts";

const url = Deno.env.get("SUPABASE_URL")!;
const options = { auth: { persistSession: false, autoRefreshToken: false } };
const visitor = createClient(url, Deno.env.get("SUPABASE_ANON_KEY")!, options);
const person = createClient(url, Deno.env.get("SUPABASE_ANON_KEY")!, options);
const service = createClient(url, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!, options);

// deno-lint-ignore no-explicit-any
type Json = any;

/** The answer, which must also be what the OpenAPI document promises. */
async function invoke(client: SupabaseClient, operation: string, body: unknown): Promise<Json> {
  const { data, error } = await client.functions.invoke(`ops-executor/v1/${operation}`, { body: body as Json });
  if (error) assert.fail(error instanceof FunctionsHttpError ? await error.context.text() : String(error));
  const described = OPERATIONS[operation]!.output.safeParse(data);
  assert.ok(described.success, described.error?.message);
  return data;
}

async function refused(client: SupabaseClient, operation: string, body: unknown): Promise<[number, string]> {
  const { error } = await client.functions.invoke(`ops-executor/v1/${operation}`, { body: body as Json });
  assert.ok(error instanceof FunctionsHttpError, String(error));
  const problem = await error.context.json();
  return [problem.status, problem.code];
}

Deno.test("a person queues, workers execute, through functions.invoke", async () => {
  const { error } = await person.auth.signInWithPassword({
    email: Deno.env.get("CONTRACT_EMAIL")!,
    password: Deno.env.get("CONTRACT_PASSWORD")!,
  });
  assert.equal(error, null);
  const { data: session } = await person.rpc("create_session", { p_title: "supabase-js" });
  const run = await invoke(person, "runs.create", {
    session_id: session.id,
    template: "echo",
    params: { text: "hi" },
    priority: 100,
  });
  assert.equal(run.status, "queued");

  const worker_id = Deno.env.get("CONTRACT_WORKER")!;
  const { runs } = await invoke(service, "runs.claim", { worker_id, limit: 1, request_id: crypto.randomUUID() });
  assert.equal(runs[0].run_id, run.id);
  const held = { run_id: run.id, claim_token: runs[0].claim_token };
  assert.equal((await invoke(service, "runs.start", held)).verdict, "started");
  assert.equal((await invoke(service, "runs.heartbeat", { worker_id, runs: [held] })).runs[0].verdict, "ok");
  const events = [{ type: "log", level: "info", message: "ready" }];
  assert.equal((await invoke(service, "events.append", { ...held, batch: 1, events })).verdict, "ok");
  const artifact = { name: "page", kind: "link", media_type: "text/html", url: "https://example.com/" };
  assert.equal((await invoke(service, "artifacts.put", { ...held, artifact })).verdict, "ok");
  const end = { ...held, status: "failed", reason: "step_failed", exit_code: 3 };
  assert.deepEqual((await invoke(service, "runs.finish", end)).status, "failed");
  assert.equal((await invoke(person, "runs.cancel", { run_id: run.id })).status, "failed");
});

Deno.test("refusals arrive as problems with their code", async () => {
  const run_id = crypto.randomUUID();
  assert.deepEqual(await refused(visitor, "runs.cancel", { run_id }), [401, "not_authenticated"]);
  assert.deepEqual(await refused(person, "runs.cancel", { run_id }), [404, "run_not_found"]);
  assert.deepEqual(await refused(person, "runs.start", { run_id, claim_token: run_id }), [403, "forbidden"]);
  assert.deepEqual(await refused(service, "runs.cancel", { run_id }), [403, "forbidden"]);
  assert.deepEqual(await refused(person, "runs.cancel", { run_id, x: 1 }), [422, "invalid_argument"]);
});
