import assert from "node:assert/strict";
import { MAX_BODY_BYTES, MAX_DEPTH, readJson } from "../../supabase/functions/ops-executor/body.ts";
import { Problem } from "../../supabase/functions/ops-executor/problem.ts";

function post(body: BodyInit, headers: Record<string, string> = { "content-type": "application/json" }): Request {
  return new Request("http://localhost/v1/runs.create", { method: "POST", body, headers });
}

async function refused(body: BodyInit, headers?: Record<string, string>): Promise<Problem> {
  try {
    await readJson(post(body, headers));
  } catch (error) {
    assert.ok(error instanceof Problem, String(error));
    return error;
  }
  assert.fail("the body was accepted");
}

Deno.test("honest JSON comes through unchanged", async () => {
  const value = { a: [1, -2.5, 1e3, 'ü\n"', { b: null, c: [] }, [[true]]], "": 0, 'x"y': "{[,", d: "9007199254740993" };
  assert.deepEqual(await readJson(post(JSON.stringify(value))), value);
  assert.equal(await readJson(post('"just, a: string"')), "just, a: string");
});

Deno.test("a content type other than JSON is 415, with and without parameters", async () => {
  assert.equal((await refused("{}", { "content-type": "text/plain" })).code, "unsupported_media_type");
  assert.equal((await refused("a=1", { "content-type": "application/x-www-form-urlencoded" })).status, 415);
  assert.deepEqual(await readJson(post("{}", { "content-type": "Application/JSON; charset=utf-8" })), {});
});

Deno.test("malformed JSON is 400 and says where, without quoting the body", async () => {
  const problem = await refused('{"secret": "hunter2",\n "b": 1,}');
  assert.equal(problem.code, "malformed_json");
  assert.match(problem.message, /position 30 \(line 2, column 9\)/);
  assert.doesNotMatch(problem.message, /hunter2/);
  assert.match((await refused('{"a": 1')).message, /position 7/);
  assert.equal((await refused("")).code, "malformed_json");
  assert.equal((await refused("{} {}")).code, "malformed_json");
  assert.equal((await refused(new Uint8Array([0x22, 0xff, 0x22]))).code, "malformed_json");
});

Deno.test("a body over the limit is 413, announced or streamed", async () => {
  const large = `"${"x".repeat(MAX_BODY_BYTES)}"`;
  assert.equal((await refused(large)).status, 413);
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode("x".repeat(65536))),
  });
  assert.equal((await refused(endless)).status, 413);
});

Deno.test("a body of exactly the limit is read, one long string or many escapes", async () => {
  for (const filler of ["x".repeat(MAX_BODY_BYTES - 2), "\\n".repeat(MAX_BODY_BYTES / 2 - 1)]) {
    assert.equal(typeof await readJson(post(`"${filler}"`)), "string");
  }
});

Deno.test("a key given twice is refused with its path, in any spelling", async () => {
  const problem = await refused('{"a": {"b": 1, "c": [{"b": 2}], "\\u0062": 3}}');
  assert.equal(problem.code, "duplicate_key");
  assert.match(problem.message, /'\/a\/b'/);
  assert.deepEqual(await readJson(post('{"a": {"b": 1}, "b": 2, "c": [{"b": 1}, {"b": 1}]}')), {
    a: { b: 1 },
    b: 2,
    c: [{ b: 1 }, { b: 1 }],
  });
});

Deno.test("text that Postgres cannot store is 422 with its path: NUL, half a surrogate pair", async () => {
  const nul = await refused('{"params": {"list": ["fine", "bad\\u0000"]}}');
  assert.deepEqual([nul.status, nul.options.errors?.[0]?.path], [422, "/params/list/1"]);
  assert.equal((await refused('{"a\\u0000": 1}')).status, 422);
  assert.equal((await refused('{"a": "\\ud800"}')).status, 422);
});

Deno.test("numbers that would be stored as something else are 422", async () => {
  for (const number of ["9007199254740993", "-9007199254740993", "1e400"]) {
    const problem = await refused(`{"a": ${number}}`);
    assert.deepEqual([problem.status, problem.options.errors?.[0]?.path], [422, "/a"], number);
  }
});

Deno.test("a key that readers would drop silently is refused aloud", async () => {
  const problem = await refused('{"params": {"__proto__": {"admin": true}}}');
  assert.deepEqual(problem.options.errors?.map(({ path, code }) => [path, code]), [[
    "/params/__proto__",
    "additional",
  ]]);
  assert.deepEqual(await readJson(post('{"note": "__proto__"}')), { note: "__proto__" });
});

Deno.test("nesting beyond the limit is refused, however deep", async () => {
  for (const depth of [MAX_DEPTH + 1, 200_000]) {
    assert.equal((await refused("[".repeat(depth) + "]".repeat(depth))).code, "invalid_argument");
  }
  await readJson(post("[".repeat(MAX_DEPTH) + "]".repeat(MAX_DEPTH)));
});
