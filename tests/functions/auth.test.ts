import assert from "node:assert/strict";
import { type Access, identify, requireAccess } from "../../supabase/functions/ops-executor/auth.ts";
import { Problem } from "../../supabase/functions/ops-executor/problem.ts";
import { readSettings } from "../../supabase/functions/ops-executor/settings.ts";

const NOW = 1_800_000_000;
const environment: Record<string, string> = {
  SUPABASE_URL: "http://localhost:1/",
  SUPABASE_ANON_KEY: jwt({ role: "anon", exp: NOW + 1e9 }),
  SUPABASE_SERVICE_ROLE_KEY: jwt({ role: "service_role", exp: NOW + 1e9 }),
  SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: "sb_publishable_1" }),
  SUPABASE_SECRET_KEYS: JSON.stringify({ default: "sb_secret_1", worker: "sb_secret_2" }),
};
const settings = readSettings((name) => environment[name]);

function part(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function jwt(claims: unknown, header: unknown = { alg: "HS256", typ: "JWT" }, signature = "c2ln"): string {
  return `${part(header)}.${part(claims)}.${signature}`;
}

function kind(headers: Record<string, string>): string {
  try {
    return identify(new Headers(headers), settings, NOW).kind;
  } catch (error) {
    assert.ok(error instanceof Problem, String(error));
    return error.code;
  }
}

const token = jwt({ sub: "1", role: "authenticated", exp: NOW + 60 });

Deno.test("the service key is known in either header and either form", () => {
  for (const key of [environment.SUPABASE_SERVICE_ROLE_KEY!, "sb_secret_1", "sb_secret_2"]) {
    assert.equal(kind({ apikey: key }), "service");
    assert.equal(kind({ authorization: `Bearer ${key}` }), "service");
    assert.equal(kind({ apikey: key, authorization: `Bearer ${environment.SUPABASE_ANON_KEY}` }), "service");
  }
});

Deno.test("a person's token outranks the key sent next to it", () => {
  assert.equal(kind({ authorization: `Bearer ${token}`, apikey: environment.SUPABASE_ANON_KEY! }), "person");
  assert.equal(kind({ authorization: `bearer ${token}`, apikey: "sb_secret_1" }), "person");
});

Deno.test("keys that anyone may know are nobody", () => {
  for (const key of ["sb_publishable_1", environment.SUPABASE_ANON_KEY!, "made-up"]) {
    assert.equal(kind({ apikey: key }), "anonymous");
  }
  assert.equal(kind({ authorization: `Bearer ${environment.SUPABASE_ANON_KEY}` }), "anonymous");
  assert.equal(kind({}), "anonymous");
});

Deno.test("tokens that cannot be anyone's are refused before any call", () => {
  const claims = { sub: "1", role: "authenticated", exp: NOW + 60 };
  assert.equal(kind({ authorization: `Bearer ${jwt(claims, { alg: "none" })}` }), "invalid_token");
  assert.equal(kind({ authorization: `Bearer ${jwt(claims, { alg: "NoNe" })}` }), "invalid_token");
  assert.equal(kind({ authorization: `Bearer ${jwt(claims, undefined, "")}` }), "invalid_token");
  assert.equal(kind({ authorization: `Bearer ${jwt({ ...claims, role: "service_role" })}` }), "invalid_token");
  assert.equal(kind({ authorization: `Bearer ${jwt({ ...claims, exp: NOW - 60 })}` }), "token_expired");
  assert.equal(kind({ authorization: `Bearer ${jwt({ sub: "1", role: "authenticated" })}` }), "token_expired");
  assert.equal(kind({ authorization: "Bearer sb_secret_3" }), "invalid_token");
  assert.equal(kind({ authorization: "Bearer a.b.c" }), "invalid_token");
  assert.equal(kind({ authorization: "Basic dXNlcjpwYXNz" }), "invalid_token");
  assert.equal(kind({ authorization: `Bearer ${token}, Bearer ${token}` }), "invalid_token");
});

Deno.test("each kind of operation admits its kind of caller only", () => {
  const status = (caller: Parameters<typeof requireAccess>[0], access: Access) => {
    try {
      requireAccess(caller, access, "an.operation");
      return 200;
    } catch (error) {
      return (error as Problem).status;
    }
  };
  const person = { kind: "person", token } as const;
  const service = { kind: "service", key: "sb_secret_1" } as const;
  const anonymous = { kind: "anonymous" } as const;
  assert.deepEqual([status(person, "person"), status(service, "person"), status(anonymous, "person")], [200, 403, 401]);
  assert.deepEqual([status(person, "service"), status(service, "service"), status(anonymous, "service")], [
    403,
    200,
    401,
  ]);
});

Deno.test("a missing setting is named", () => {
  assert.throws(() => readSettings(() => undefined), /SUPABASE_URL/);
  assert.throws(() => readSettings((name) => name === "SUPABASE_URL" ? "http://x" : undefined), /SUPABASE_ANON_KEY/);
});
