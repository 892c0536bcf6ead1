// Who is asking: a person with a token of theirs, the service with its key, or nobody.
// A person's signature is checked by the database's API on the call itself; here only what needs no key is decided.

import { createHash, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { Problem } from "./problem.ts";
import type { Settings } from "./settings.ts";

export type Caller =
  | { readonly kind: "anonymous" }
  | { readonly kind: "person"; readonly token: string }
  | { readonly kind: "service"; readonly key: string };

export type Access = "person" | "service";

/** PostgREST grants the same leeway, so that a clock a little off refuses nobody here whom the database would admit. */
const CLOCK_LEEWAY_SECONDS = 30;

/** Reads the credentials. @throws Problem invalid_token or token_expired for a token that can not be anyone's. */
export function identify(headers: Headers, settings: Settings, nowSeconds = Date.now() / 1000): Caller {
  const bearer = bearerOf(headers);
  // A person's own token outranks the apikey next to it: supabase-js always sends both.
  for (const credential of [bearer, headers.get("apikey") ?? ""]) {
    if (credential === "") continue;
    if (isAmong(credential, settings.secretKeys)) return { kind: "service", key: credential };
    if (isAmong(credential, settings.publicKeys)) continue;
    if (credential === bearer) return person(bearer, nowSeconds);
  }
  return { kind: "anonymous" };
}

/** The early answer. The database decides again, by its grants and its members table. */
export function requireAccess(caller: Caller, access: Access, operation: string): void {
  if (caller.kind === access) return;
  if (caller.kind === "anonymous") {
    throw new Problem("not_authenticated", `${operation} needs credentials and the request carries none.`, {
      hint: access === "person"
        ? "Sign in and send the access token as 'Authorization: Bearer <token>'."
        : "Send the service key in the 'apikey' header. Never from a browser.",
    });
  }
  throw access === "person"
    ? new Problem("forbidden", `${operation} acts for a person; the service key is nobody.`, {
      hint: "Send the access token of a signed-in member instead of the service key.",
    })
    : new Problem("forbidden", `${operation} is for workers; a person's token is not enough.`, {
      hint: "Call it from a worker, with the service key.",
    });
}

function bearerOf(headers: Headers): string {
  const authorization = headers.get("authorization");
  if (authorization === null) return "";
  const match = /^Bearer +([^\s,]+)$/i.exec(authorization.trim());
  if (!match?.[1]) {
    throw new Problem("invalid_token", "The Authorization header is not of the form 'Bearer <token>'.");
  }
  return match[1];
}

function person(token: string, nowSeconds: number): Caller {
  const parts = token.split(".");
  const header = decode(parts[0]);
  const claims = decode(parts[1]);
  if (parts.length !== 3 || parts[2] === "" || !header || !claims) {
    throw new Problem("invalid_token", "The bearer token is neither an access token nor a key of this project.");
  }
  if (typeof header.alg !== "string" || header.alg.toLowerCase() === "none") {
    throw new Problem("invalid_token", "The bearer token is not signed.");
  }
  if (claims.role === "anon") return { kind: "anonymous" };
  // Only the exact key is the service: a token that merely claims the role proves nothing.
  if (claims.role === "service_role") {
    throw new Problem("invalid_token", "The bearer token is not the service key of this project.");
  }
  if (typeof claims.exp !== "number" || claims.exp + CLOCK_LEEWAY_SECONDS <= nowSeconds) {
    throw new Problem("token_expired", "The access token has expired.", { hint: "Refresh the session and try again." });
  }
  return { kind: "person", token };
}

function decode(part: string | undefined): Record<string, unknown> | undefined {
  if (!part || !/^[A-Za-z0-9_-]+$/.test(part)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}

/** Compares digests, so that neither the content nor the length of a key shows in the time taken. */
function isAmong(credential: string, keys: readonly string[]): boolean {
  const given = sha256(credential);
  return keys.reduce((found, key) => timingSafeEqual(given, sha256(key)) || found, false);
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
