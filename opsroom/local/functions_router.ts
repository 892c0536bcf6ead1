// Serves every Edge Function of this repository from one Deno process, the way Supabase's runtime does: the path starts with the
// function's name. Arguments: port, then name=entrypoint for each function.

const [port, ...functions] = Deno.args;
const handlers = new Map<string, Deno.ServeHandler>();
const serve = Deno.serve.bind(Deno) as (options: Deno.ServeTcpOptions, handler: Deno.ServeHandler) => Deno.HttpServer;

let loading = "";
// A function calls Deno.serve(handler) once; here that only registers it.
Deno.serve = ((...given: unknown[]) => {
  const found = given.find((item) => typeof item === "function") ?? (given[0] as { handler?: unknown } | undefined)?.handler;
  if (typeof found !== "function") throw new TypeError(`${loading}: Deno.serve was called without a handler`);
  handlers.set(loading, found as Deno.ServeHandler);
  return { finished: new Promise<void>(() => {}), shutdown: () => Promise.resolve(), ref() {}, unref() {}, addr: { port } };
}) as unknown as typeof Deno.serve;

for (const pair of functions) {
  const split = pair.indexOf("=");
  loading = pair.slice(0, split);
  await import(pair.slice(split + 1));
  if (!handlers.has(loading)) throw new Error(`${loading}: its index.ts does not call Deno.serve`);
}

serve({ port: Number(port), hostname: "127.0.0.1", onListen: () => {} }, (request, info) => {
  const name = new URL(request.url).pathname.split("/")[1] ?? "";
  if (name === "_health") return new Response("ok");
  const handler = handlers.get(name);
  if (!handler) return Response.json({ code: "NOT_FOUND", message: "Requested function was not found" }, { status: 404 });
  return handler(request, info);
});
