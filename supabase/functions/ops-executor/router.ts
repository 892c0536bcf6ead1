// One request in, one response out: finds the operation, runs the checks in order, renders every failure as a problem.

import { type Caller, identify, requireAccess } from "./auth.ts";
import { readJson } from "./body.ts";
import type { Database } from "./database.ts";
import { type LogFields, writeLog } from "./log.ts";
import { openapi } from "./openapi.ts";
import { type Operation, OPERATIONS, sqlArguments } from "./operations.ts";
import { Problem } from "./problem.ts";
import { validate } from "./schemas.ts";
import type { Settings } from "./settings.ts";

export interface Environment {
  readonly settings: Settings;
  readonly database: Database;
  readonly log?: (fields: LogFields) => void;
}

interface Exchange {
  readonly request: Request;
  readonly environment: Environment;
  /** For the log. */
  caller: Caller["kind"];
}

interface Route {
  readonly method: "GET" | "POST";
  readonly answer: (exchange: Exchange) => Promise<unknown>;
}

const ROUTES = new Map<string, Route>([
  ["health", { method: "GET", answer: health }],
  ["openapi.json", { method: "GET", answer: () => Promise.resolve(openapi()) }],
  ...Object.entries(OPERATIONS).map(([name, operation]): [string, Route] => [
    name,
    { method: "POST", answer: (exchange) => execute(name, operation, exchange) },
  ]),
]);

/** The platform, the CLI and a self-hosted gateway each strip a different part of the path. */
const PATH = /^(?:\/functions\/v1)?(?:\/ops-executor)?\/v1\/([^/]+)$/;

/** Credentials travel in headers, never in cookies: another origin's page can do nothing it holds no token for. */
const COMMON_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "authorization, apikey, content-type, x-client-info, x-request-id",
  "access-control-expose-headers": "x-request-id, retry-after",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

export function createHandler(environment: Environment): (request: Request) => Promise<Response> {
  const log = environment.log ?? writeLog;
  return async (request) => {
    const started = performance.now();
    const requestId = requestIdOf(request);
    const name = PATH.exec(new URL(request.url).pathname)?.[1] ?? "";
    const exchange: Exchange = { request, environment, caller: "anonymous" };
    let code = "";
    let response: Response;
    try {
      response = await respond(name, exchange);
    } catch (error) {
      const problem = error instanceof Problem
        ? error
        : new Problem("internal", "An unexpected error; its request id is in the log.");
      code = problem.code;
      response = problem.toResponse(requestId);
      if (!(error instanceof Problem)) {
        log({ level: "error", message: "unexpected error", request_id: requestId, error: describe(error) });
      }
    }
    for (const [key, value] of Object.entries({ ...COMMON_HEADERS, "x-request-id": requestId })) {
      response.headers.set(key, value);
    }
    log({
      level: response.status >= 500 ? "error" : "info",
      message: "request",
      request_id: requestId,
      operation: ROUTES.has(name) ? name : "unknown",
      method: request.method,
      caller: exchange.caller,
      status: response.status,
      ...(code ? { code } : {}),
      milliseconds: Math.round(performance.now() - started),
    });
    return response;
  };
}

async function respond(name: string, exchange: Exchange): Promise<Response> {
  const route = ROUTES.get(name);
  if (!route) {
    throw new Problem("not_found", "There is no such operation.", { hint: "GET /v1/openapi.json lists them all." });
  }
  const allow = `${route.method}, OPTIONS`;
  const method = exchange.request.method;
  if (method === "OPTIONS") {
    return new Response(null, { status: 204, headers: { allow, "access-control-allow-methods": allow } });
  }
  if (method !== route.method) {
    throw new Problem("method_not_allowed", `${name} answers ${route.method} only.`, { headers: { allow } });
  }
  return Response.json(await route.answer(exchange));
}

/** Credentials before the body, so that nobody unknown makes the function read a megabyte. */
async function execute(name: string, operation: Operation, exchange: Exchange): Promise<unknown> {
  const { request, environment } = exchange;
  const caller = identify(request.headers, environment.settings);
  exchange.caller = caller.kind;
  requireAccess(caller, operation.access, name);
  const input = validate(operation.input, await readJson(request));
  const answer = await environment.database.call(operation.rpc, sqlArguments(input), caller);
  return operation.wrap ? operation.wrap(answer) : answer;
}

/** Any refusal by the database proves that it answers; only silence and a missing schema are ill health. */
async function health({ environment }: Exchange): Promise<unknown> {
  try {
    await environment.database.call("whoami", {}, { kind: "anonymous" });
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500) throw error;
  }
  return { status: "ok" };
}

function requestIdOf(request: Request): string {
  const given = request.headers.get("x-request-id") ?? "";
  return /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : crypto.randomUUID();
}

function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
