// What may come in. Shapes only: what a value means (does the run exist, may this person, do the params fit the template)
// is the database's to say. Unknown keys are refused everywhere, params excepted: their schema is the template's.

import { z } from "zod";
import { type FieldError, Problem } from "./problem.ts";

const id = z.guid();
const lane = z.enum(["A", "B", "C", "D"]);
const data = z.record(z.string(), z.unknown());

export const runsCreate = z.strictObject({
  session_id: id,
  template: z.string().min(1).describe("The template's slug; its newest version is pinned."),
  params: data.optional(),
  lane: lane.optional().describe("Runs of one lane go one after another. Default A."),
  priority: z.int().min(-100).max(100).optional().describe("Higher goes first. Default 0."),
  not_before: z.iso.datetime({ offset: true }).nullable().optional().describe("Not claimed earlier than this."),
  title: z.string().nullable().optional(),
  idempotency_key: z.string().min(1).nullable().optional().describe("The same key again answers the same run."),
});

export const runsCancel = z.strictObject({ run_id: id, reason: z.string().nullable().optional() });

export const runsClaim = z.strictObject({
  worker_id: id,
  limit: z.int().min(1),
  request_id: id.describe("Mint one per attempt to claim; the same id again answers the same runs."),
});

export const claimed = { run_id: id, claim_token: id };

export const runsStart = z.strictObject(claimed);

export const runsHeartbeat = z.strictObject({ worker_id: id, runs: z.array(z.strictObject(claimed)).max(1000) });

export const runsFinish = z.strictObject({
  ...claimed,
  status: z.enum(["succeeded", "failed", "cancelled", "timed_out"]),
  reason: z.string().nullable().optional(),
  message: z.string().nullable().optional(),
  exit_code: z.int().nullable().optional(),
});

export const eventsAppend = z.strictObject({
  ...claimed,
  batch: z.int().min(1).describe("1, 2, 3… per run. A number sent before is accepted and ignored; a gap is refused."),
  events: z.array(z.strictObject({
    type: z.string().min(1),
    step: z.string().nullable().optional(),
    level: z.enum(["debug", "info", "warn", "error"]).optional(),
    message: z.string().optional(),
    data: data.optional(),
  })).min(1),
});

export const artifactsPut = z.strictObject({
  ...claimed,
  artifact: z.strictObject({
    name: z.string().min(1),
    kind: z.enum(["file", "markdown", "json", "link", "diff", "image", "html", "archive"]),
    media_type: z.string().min(1),
    sha256: z.string().regex(/^[0-9a-f]{64}$/).nullable().optional().describe("Of the object already in Storage."),
    size_bytes: z.int().min(0).nullable().optional(),
    step: z.string().nullable().optional(),
    url: z.url({ protocol: /^https?$/ }).nullable().optional().describe("For kind 'link' only."),
  }),
});

// What goes out: described for the OpenAPI document, and held against real answers by the contract tests.
export const run = z.looseObject({ id, session_id: id, status: z.string(), lane });
export const verdict = <const V extends readonly string[]>(...values: V) => z.looseObject({ verdict: z.enum(values) });
export const claims = z.object({
  runs: z.array(z.looseObject({ ...claimed, template_slug: z.string(), params: data })),
});
export const heartbeats = z.object({
  runs: z.array(z.looseObject({ run_id: id, verdict: z.enum(["ok", "cancel", "lost"]) })),
});

/** @throws Problem invalid_argument with one entry in `errors` per fault. */
export function validate<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap((issue) => faults(issue, value));
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  throw new Problem("invalid_argument", `${first?.path || "The body"}: ${first?.message}${more}`, { errors });
}

function faults(issue: z.core.$ZodIssue, value: unknown): FieldError[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: pointer([...issue.path, key]),
      code: "additional",
      message: "Is not a known key.",
    }));
  }
  return [{ path: pointer(issue.path), ...describe(issue, value) }];
}

/** The vocabulary is JSON Schema's, as in the database's own errors, so that a client needs one table of codes. */
function describe(issue: z.core.$ZodIssue, value: unknown): { code: string; message: string } {
  switch (issue.code) {
    case "invalid_type":
      return at(value, issue.path) === undefined
        ? { code: "required", message: "Is required." }
        : { code: "type", message: `Must be of type ${issue.expected}.` };
    case "invalid_value":
      return {
        code: "enum",
        message: `Must be one of ${issue.values.map((each) => JSON.stringify(each)).join(", ")}.`,
      };
    case "invalid_format":
      return { code: issue.format === "regex" ? "pattern" : "format", message: issue.message };
    case "too_small":
      return { code: bound("min", issue.origin), message: issue.message };
    case "too_big":
      return { code: bound("max", issue.origin), message: issue.message };
    default:
      return { code: "type", message: issue.message };
  }
}

function bound(side: "min" | "max", origin: string): string {
  if (origin === "string") return `${side}Length`;
  if (origin === "array") return `${side}Items`;
  return `${side}imum`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((inner, key) => (inner as Record<PropertyKey, unknown> | undefined | null)?.[key], value);
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => "/" + String(part).replaceAll("~", "~0").replaceAll("/", "~1")).join("");
}
