// Reads a request body as JSON that the database can store without changing it.

import { type FieldError, Problem } from "./problem.ts";

/** Bytes. Outputs are uploaded to Storage; only their metadata comes through here. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Deeper than any honest request, and far from where recursive validators run out of stack. */
export const MAX_DEPTH = 32;

/** @throws Problem unsupported_media_type, body_too_large, malformed_json, duplicate_key or invalid_argument. */
export async function readJson(request: Request): Promise<unknown> {
  const mediaType = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (mediaType !== "application/json") {
    throw new Problem("unsupported_media_type", `The content type is '${mediaType}'; send 'application/json'.`);
  }
  const text = await readText(request);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem("malformed_json", `The body is not valid JSON${position(error, text)}.`);
  }
  inspect(text);
  return value;
}

async function readText(request: Request): Promise<string> {
  const tooLarge = () =>
    new Problem("body_too_large", `The body is larger than ${MAX_BODY_BYTES} bytes.`, {
      hint: "Upload content to Storage and send only its metadata; split events into several batches.",
    });
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(chunks).arrayBuffer());
  } catch {
    throw new Problem("malformed_json", "The body is not valid UTF-8.");
  }
}

/** V8 names the offset for most faults, and none for text that ends too early. Its message quotes the body: not passed on. */
function position(error: unknown, text: string): string {
  const message = error instanceof Error ? error.message : "";
  const offset = /at position (\d+)/.exec(message)?.[1];
  const at = offset !== undefined ? Number(offset) : message.includes("end of JSON") ? text.length : undefined;
  if (at === undefined) return "";
  const before = text.slice(0, at).split("\n");
  return ` at position ${at} (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]|-?\d[\d.eE+-]*/g;

interface Level {
  /** The keys seen so far; undefined in an array. */
  readonly keys: Set<string> | undefined;
  /** The key or index being read, for the pointer of a fault. */
  at: string | number;
  expectsKey: boolean;
}

/**
 * Refuses what JSON.parse lets through and the database would refuse, round or drop silently. The text is valid JSON, so
 * a walk over its tokens is enough, without recursion.
 */
function inspect(text: string): void {
  const levels: Level[] = [];
  const fault = (code: string, message: string) => invalid({ path: pointer(levels), code, message });
  for (const [token] of text.matchAll(TOKEN)) {
    const level = levels.at(-1);
    if (token === "{" || token === "[") {
      if (levels.length === MAX_DEPTH) throw fault("too_large", `Nested more than ${MAX_DEPTH} levels deep.`);
      const isObject = token === "{";
      levels.push({ keys: isObject ? new Set() : undefined, at: isObject ? "" : 0, expectsKey: isObject });
    } else if (token === "}" || token === "]") {
      levels.pop();
    } else if (token === ",") {
      if (!level) continue;
      if (level.keys) level.expectsKey = true;
      else level.at = Number(level.at) + 1;
    } else if (token.startsWith('"')) {
      const string = JSON.parse(token) as string;
      const isKey = level?.keys !== undefined && level.expectsKey;
      if (isKey) {
        level.at = string;
        level.expectsKey = false;
      }
      // Validators written in JavaScript leave this key out to be safe: what was asked and what is stored would differ.
      if (isKey && string === "__proto__") throw fault("additional", "Is not a key that can be passed on.");
      if (string.includes("\0")) throw fault("pattern", "Contains a NUL character, which Postgres cannot store.");
      if (!string.isWellFormed()) throw fault("pattern", "Contains half of a surrogate pair, which is not text.");
      if (isKey && level.keys.has(string)) {
        throw new Problem("duplicate_key", `The key at '${pointer(levels)}' is given twice.`);
      }
      if (isKey) level.keys.add(string);
    } else if (isAltered(token)) {
      throw fault("type", "Is a number that JSON readers would round; send it as a string.");
    }
  }
}

function isAltered(token: string): boolean {
  const value = Number(token);
  return !Number.isFinite(value) || (/^-?\d+$/.test(token) && !Number.isSafeInteger(value));
}

function pointer(levels: readonly Level[]): string {
  return levels.map((level) => "/" + String(level.at).replaceAll("~", "~0").replaceAll("/", "~1")).join("");
}

function invalid(error: FieldError): Problem {
  return new Problem("invalid_argument", `${error.path || "The body"}: ${error.message}`, { errors: [error] });
}
