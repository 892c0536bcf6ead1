// One JSON object per line: a constant message plus fields. No bodies, no tokens, no query strings.

export interface LogFields {
  readonly level: "info" | "error";
  readonly message: string;
  readonly [field: string]: string | number;
}

export function writeLog(fields: LogFields): void {
  console.log(JSON.stringify({ at: new Date().toISOString(), function: "ops-executor", ...fields }));
}
