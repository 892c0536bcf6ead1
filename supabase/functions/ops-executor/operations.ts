// The operations. A new one is one entry here: its input's keys are the SQL function's parameters without their `p_`.

import type { z } from "zod";
import type { Access } from "./auth.ts";
import * as schemas from "./schemas.ts";

export interface Operation {
  readonly summary: string;
  readonly access: Access;
  /** The SQL function in schema public. */
  readonly rpc: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodType;
  /** An answer that is a list is wrapped in an object, so that it can gain fields without a new version. */
  readonly wrap?: (answer: unknown) => unknown;
}

const runs = (answer: unknown) => ({ runs: answer });

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "runs.create": {
    summary: "Queue a run of a template into a lane of a session.",
    access: "person",
    rpc: "create_run",
    input: schemas.runsCreate,
    output: schemas.run,
  },
  "runs.cancel": {
    summary: "Cancel a queued run at once, or ask the worker of an active one to stop it.",
    access: "person",
    rpc: "cancel_run",
    input: schemas.runsCancel,
    output: schemas.run,
  },
  "runs.claim": {
    summary: "Claim up to `limit` queued runs for a registered worker.",
    access: "service",
    rpc: "claim_runs",
    input: schemas.runsClaim,
    output: schemas.claims,
    wrap: runs,
  },
  "runs.start": {
    summary: "Record the start of a claimed run, before its first process exists.",
    access: "service",
    rpc: "start_run",
    input: schemas.runsStart,
    output: schemas.verdict("started", "cancel", "lost"),
  },
  "runs.heartbeat": {
    summary: "Renew the leases of a worker's runs; learn which to cancel and which are lost.",
    access: "service",
    rpc: "heartbeat",
    input: schemas.runsHeartbeat,
    output: schemas.heartbeats,
    wrap: runs,
  },
  "runs.finish": {
    summary: "Record how a run ended.",
    access: "service",
    rpc: "finish_run",
    input: schemas.runsFinish,
    output: schemas.verdict("ok", "lost"),
  },
  "events.append": {
    summary: "Append one numbered batch of events to a run.",
    access: "service",
    rpc: "append_events",
    input: schemas.eventsAppend,
    output: schemas.verdict("ok", "lost"),
  },
  "artifacts.put": {
    summary: "Record an artifact whose content is already in Storage.",
    access: "service",
    rpc: "put_artifact",
    input: schemas.artifactsPut,
    output: schemas.verdict("ok", "lost"),
  },
};

/** Keys left out stay out, so that the SQL function's own defaults apply. */
export function sqlArguments(input: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(input).map(([key, value]) => [`p_${key}`, value]));
}
