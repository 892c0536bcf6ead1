// The only way to the database: its SQL functions, over PostgREST, with the caller's own credentials and never with more.

import { PostgrestClient } from "@supabase/postgrest-js";
import type { Caller } from "./auth.ts";
import { codeForSqlstate, type FieldError, Problem } from "./problem.ts";
import type { Settings } from "./settings.ts";

export interface Database {
  /** @throws Problem for every error, mapped from its SQLSTATE. */
  call(name: string, args: Record<string, unknown>, caller: Caller): Promise<unknown>;
}

/** Milliseconds: longer than any of the SQL functions takes, shorter than a client's own patience. */
const CALL_TIMEOUT = 15_000;

export function postgrest(settings: Settings): Database {
  const client = new PostgrestClient(`${settings.url}/rest/v1`);
  return {
    async call(name, args, caller) {
      const apikey = caller.kind === "service" ? caller.key : settings.publishableKey;
      const bearer = caller.kind === "person" ? caller.token : apikey;
      const { data, error, status } = await client.rpc(name, args)
        .setHeader("apikey", apikey)
        .setHeader("Authorization", `Bearer ${bearer}`)
        .abortSignal(AbortSignal.timeout(CALL_TIMEOUT));
      if (error) throw fromDatabase(error, status, name);
      return data;
    },
  };
}

export interface DatabaseError {
  readonly message: string;
  readonly code?: string | null;
  readonly details?: string | null;
  readonly hint?: string | null;
}

/** `status` is 0 when the request never got an answer. */
export function fromDatabase(error: DatabaseError, status: number, rpc: string): Problem {
  const sqlstate = error.code ?? "";
  if (sqlstate === "") {
    // No SQLSTATE: not Postgres spoke but the network or a proxy, whose words may name hosts and are not passed on.
    return status === 0 || status >= 500
      ? unavailable()
      : status === 401
      ? new Problem("invalid_token", "The credentials were refused.")
      : new Problem("internal", `The call of ${rpc} was refused with status ${status}.`);
  }
  const code = codeForSqlstate(sqlstate);
  const isDomain = sqlstate.startsWith("OR");
  if (isDomain) {
    const errors = fieldErrors(error.details);
    return new Problem(code, error.message, { hint: error.hint || undefined, errors });
  }
  switch (code) {
    case "unavailable":
      return unavailable();
    case "schema_mismatch":
      return new Problem(code, `The database has no function ${rpc} with these parameters.`, {
        hint: "Apply the migrations ('supabase db push'), then try again.",
      });
    case "invalid_token":
    case "token_expired":
      return /expired/i.test(error.message)
        ? new Problem("token_expired", "The access token has expired.", { hint: "Refresh the session and try again." })
        : new Problem("invalid_token", "The access token was refused: its signature or its claims are not valid.");
    case "forbidden":
      return new Problem(code, "These credentials may not do that.");
    case "invalid_argument":
      return new Problem(code, "The database refused a value of the request.");
    default:
      return new Problem(code, `The call of ${rpc} failed with SQLSTATE ${sqlstate}.`);
  }
}

function unavailable(): Problem {
  return new Problem("unavailable", "The database did not answer. What was asked may or may not have been done.", {
    hint:
      "Send the same request again: every operation answers a replay like the first time, given an idempotency key.",
  });
}

function fieldErrors(details: string | null | undefined): FieldError[] | undefined {
  if (!details?.startsWith("[")) return undefined;
  try {
    return JSON.parse(details) as FieldError[];
  } catch {
    return undefined;
  }
}
