// The API describes itself: OpenAPI 3.1 from the schemas that validate the requests.

import { z } from "zod";
import { MAX_BODY_BYTES } from "./body.ts";
import { type Operation, OPERATIONS } from "./operations.ts";
import { PROBLEMS } from "./problem.ts";

export function openapi(): Record<string, unknown> {
  return {
    openapi: "3.1.1",
    info: {
      title: "Ops Control Room executor",
      version: "1.0.0",
      description: `Queue, execute and cancel runs. Bodies are JSON of at most ${MAX_BODY_BYTES} bytes.`,
    },
    servers: [{ url: "/functions/v1/ops-executor/v1" }],
    paths: {
      ...Object.fromEntries(Object.entries(OPERATIONS).map(([name, operation]) => [`/${name}`, path(name, operation)])),
      "/health": {
        get: {
          operationId: "health",
          summary: "Whether the function and the database answer.",
          security: [],
          responses: { 200: answer(z.object({ status: z.literal("ok") }), "Both answer."), default: PROBLEM },
        },
      },
    },
    components: {
      securitySchemes: {
        person: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "The access token of a member." },
        service: { type: "apiKey", in: "header", name: "apikey", description: "The service key. Never in a browser." },
      },
      schemas: { Problem: problemSchema() },
    },
  };
}

const PROBLEM = {
  description: "RFC 9457 problem details",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

function path(name: string, operation: Operation): Record<string, unknown> {
  return {
    post: {
      operationId: name,
      summary: operation.summary,
      security: [{ [operation.access]: [] }],
      requestBody: {
        required: true,
        content: { "application/json": { schema: jsonSchema(operation.input, "input") } },
      },
      responses: { 200: answer(operation.output, "Done, now or earlier."), default: PROBLEM },
    },
  };
}

function answer(schema: z.ZodType, description: string): Record<string, unknown> {
  return { description, content: { "application/json": { schema: jsonSchema(schema, "output") } } };
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

function problemSchema(): Record<string, unknown> {
  return jsonSchema(
    z.object({
      type: z.string(),
      title: z.string(),
      status: z.int(),
      detail: z.string(),
      instance: z.string(),
      code: z.enum(Object.keys(PROBLEMS)),
      errors: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })),
      hint: z.string().optional(),
    }),
    "output",
  );
}
