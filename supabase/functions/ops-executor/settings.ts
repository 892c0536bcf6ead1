// What the function needs from its environment. Supabase injects these names into every Edge Function.

export interface Settings {
  readonly url: string;
  /** Sent as `apikey` with a person's token. May be seen by anyone. */
  readonly publishableKey: string;
  /** Every key that makes its bearer the service: the legacy JWT and the newer opaque keys can be valid side by side. */
  readonly secretKeys: readonly string[];
  /** Keys that identify the project only and never a caller. */
  readonly publicKeys: readonly string[];
}

export function readSettings(get: (name: string) => string | undefined): Settings {
  const url = get("SUPABASE_URL")?.replace(/\/+$/, "");
  const publicKeys = keys(get, "SUPABASE_PUBLISHABLE_KEYS", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY");
  const secretKeys = keys(get, "SUPABASE_SECRET_KEYS", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY");
  const publishableKey = publicKeys[0];
  if (!url) throw new Error("SUPABASE_URL is not set: set it to the project's API address.");
  if (!publishableKey) throw new Error("No public key: set SUPABASE_PUBLISHABLE_KEY or SUPABASE_ANON_KEY.");
  if (secretKeys.length === 0) {
    throw new Error("No service key: set SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY.");
  }
  return { url, publishableKey, secretKeys, publicKeys };
}

/** The plural variable is a JSON object of named keys (hosted projects set it); the others hold one key each. */
function keys(get: (name: string) => string | undefined, plural: string, ...singular: string[]): string[] {
  const named = get(plural);
  const found = named ? Object.values(JSON.parse(named) as Record<string, string>) : [];
  return [...found, ...singular.map((name) => get(name) ?? "")].filter((key) => key !== "");
}
