// The executor: the control plane's versioned HTTP API, one Supabase Edge Function.
// It authenticates, validates and calls one SQL function per operation; every rule lives in the database.

import { postgrest } from "./database.ts";
import { createHandler } from "./router.ts";
import { readSettings } from "./settings.ts";

const settings = readSettings((name) => Deno.env.get(name));

Deno.serve(createHandler({ settings, database: postgrest(settings) }));
