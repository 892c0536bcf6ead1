// Problem+JSON (RFC 9457): the one table of error codes, and the mapping from SQLSTATE to code.

export const PROBLEMS = {
  // The request itself
  malformed_json: { status: 400, title: "The body is not valid JSON" },
  duplicate_key: { status: 400, title: "The body names a key twice" },
  not_found: { status: 404, title: "No such operation" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  body_too_large: { status: 413, title: "The body is too large" },
  unsupported_media_type: { status: 415, title: "The body must be JSON" },
  invalid_argument: { status: 422, title: "An argument is invalid" },
  // Who asks
  not_authenticated: { status: 401, title: "Sign in first" },
  invalid_token: { status: 401, title: "The token is not valid" },
  token_expired: { status: 401, title: "The token has expired" },
  forbidden: { status: 403, title: "Not allowed" },
  not_a_member: { status: 403, title: "Not a member of this control room" },
  // What the database answers
  session_not_found: { status: 404, title: "No such session" },
  run_not_found: { status: 404, title: "No such run" },
  template_not_found: { status: 404, title: "No such template" },
  worker_not_found: { status: 404, title: "No such worker" },
  member_not_found: { status: 404, title: "No such member" },
  spec_not_found: { status: 404, title: "No such Spec Kit bundle" },
  hold_not_found: { status: 404, title: "No such hold" },
  invalid_params: { status: 422, title: "The params do not fit the template" },
  invalid_template: { status: 422, title: "The template is invalid" },
  session_archived: { status: 409, title: "The session is archived" },
  run_not_finished: { status: 409, title: "The run has not finished" },
  idempotency_conflict: { status: 409, title: "The idempotency key was used for something else" },
  template_disabled: { status: 409, title: "The template is disabled" },
  illegal_transition: { status: 409, title: "The run cannot change that way" },
  batch_gap: { status: 409, title: "An earlier batch of events is missing" },
  artifact_conflict: { status: 409, title: "The artifact conflicts with what is stored" },
  evidence_immutable: { status: 409, title: "Evidence cannot be changed" },
  worker_protocol: { status: 409, title: "The worker and the database do not speak the same protocol" },
  version_conflict: { status: 409, title: "Somebody else has saved a version meanwhile" },
  last_admin: { status: 409, title: "The room would be left without an admin" },
  not_deterministic: { status: 409, title: "The template does not say that it is deterministic" },
  gate_not_found: { status: 404, title: "There is no such gate" },
  gate_closed: { status: 409, title: "The gate is closed" },
  approval_stale: { status: 409, title: "What waits is not what was looked at" },
  evidence_missing: { status: 409, title: "The run lacks evidence" },
  evidence_expired: { status: 410, title: "The evidence has expired" },
  claim_lost: { status: 409, title: "The claim is no longer held" },
  // The machinery
  internal: { status: 500, title: "Something went wrong here" },
  schema_mismatch: { status: 503, title: "The database has not been migrated" },
  unavailable: { status: 503, title: "The database cannot be reached" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** The domain's SQLSTATEs, and PostgREST's own codes. Everything else is decided by class in `codeForSqlstate`. */
export const SQLSTATES: Readonly<Record<string, ProblemCode>> = {
  ORA01: "not_authenticated",
  ORA02: "forbidden",
  ORA03: "not_a_member",
  ORN01: "session_not_found",
  ORN02: "run_not_found",
  ORN03: "template_not_found",
  ORN04: "worker_not_found",
  ORN05: "member_not_found",
  ORN06: "spec_not_found",
  ORN07: "hold_not_found",
  ORV01: "invalid_params",
  ORV02: "invalid_argument",
  ORV03: "invalid_template",
  ORC01: "session_archived",
  ORC02: "run_not_finished",
  ORC03: "idempotency_conflict",
  ORC04: "template_disabled",
  ORC05: "illegal_transition",
  ORC06: "batch_gap",
  ORC07: "artifact_conflict",
  ORC08: "evidence_immutable",
  ORC09: "worker_protocol",
  ORC10: "version_conflict",
  ORC11: "last_admin",
  ORC12: "not_deterministic",
  ORG01: "gate_not_found",
  ORG02: "gate_closed",
  ORG03: "approval_stale",
  ORG04: "evidence_missing",
  ORG05: "evidence_expired",
  ORF01: "claim_lost",
  "42501": "forbidden",
  PGRST000: "unavailable",
  PGRST001: "unavailable",
  PGRST002: "unavailable",
  PGRST003: "unavailable",
  PGRST202: "schema_mismatch",
  PGRST301: "invalid_token",
  PGRST302: "not_authenticated",
  PGRST303: "token_expired",
};

/** Connection trouble (08), exhausted resources (53), shutdown and cancelled statements (57), deadlock and serialization (40). */
const TRANSIENT_CLASSES = new Set(["08", "40", "53", "57"]);
const LOCK_NOT_AVAILABLE = "55P03";
/** A value the tables refuse: a CHECK or NOT NULL that no function put into words before. */
const REFUSED_BY_TABLE = new Set(["23502", "23514"]);

export function codeForSqlstate(sqlstate: string): ProblemCode {
  const known = SQLSTATES[sqlstate];
  if (known) return known;
  if (TRANSIENT_CLASSES.has(sqlstate.slice(0, 2)) || sqlstate === LOCK_NOT_AVAILABLE) return "unavailable";
  if (sqlstate.startsWith("22") || REFUSED_BY_TABLE.has(sqlstate)) return "invalid_argument";
  return "internal";
}

/** One fault in the input: a JSON Pointer, a machine-readable code and a sentence. The same shape as the database's. */
export interface FieldError {
  readonly path: string;
  readonly code: string;
  readonly message: string;
}

export interface ProblemOptions {
  readonly hint?: string | undefined;
  readonly errors?: readonly FieldError[] | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown anywhere, rendered once by the router. `detail` is shown to the caller: never put a token or a stack in it. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  toResponse(requestId: string): Response {
    const { status, title } = PROBLEMS[this.code];
    const headers = new Headers({ "content-type": "application/problem+json", ...this.options.headers });
    if (status === 401) headers.set("www-authenticate", "Bearer");
    if (status === 503) headers.set("retry-after", "2");
    const body = {
      type: `urn:ops-control-room:problem:${this.code}`,
      title,
      status,
      detail: this.message,
      instance: `urn:ops-control-room:request:${requestId}`,
      code: this.code,
      errors: this.options.errors ?? [],
      ...(this.options.hint ? { hint: this.options.hint } : {}),
    };
    return new Response(JSON.stringify(body), { status, headers });
  }
}
