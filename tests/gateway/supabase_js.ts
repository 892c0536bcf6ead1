// The contract, through the unmodified supabase-js. Started by test_supabase_js.py with addresses, keys and two people in CONTRACT.

import { createClient, type SupabaseClient } from "npm:@supabase/supabase-js@2.119.1";

interface Given {
  url: string;
  anon_key: string;
  service_role_key: string;
  password: string;
  ada: { id: string; email: string };
  bob: { id: string; email: string };
}

const given: Given = JSON.parse(Deno.env.get("CONTRACT")!);
const options = { auth: { persistSession: false, autoRefreshToken: false } };
const BUCKET = "contract-private";

function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`got ${a}, expected ${b}`);
}

function ok<A extends { data: unknown; error: unknown }>(answer: A): NonNullable<A["data"]> {
  if (answer.error) throw new Error(JSON.stringify(answer.error));
  return answer.data as NonNullable<A["data"]>;
}

async function signedIn(person: { email: string }): Promise<SupabaseClient> {
  const client = createClient(given.url, given.anon_key, options);
  ok(await client.auth.signInWithPassword({ email: person.email, password: given.password }));
  return client;
}

const ada = await signedIn(given.ada);
const bob = await signedIn(given.bob);
const service = createClient(given.url, given.service_role_key, options);
// Websockets and timers outlive single tests.
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });

test("REST: writes, filters, embeds, counts", async () => {
  const author = ok(await ada.from("contract_authors").insert({ name: "Octavia", born: 1947 }).select().single());
  ok(
    await ada.from("contract_books").insert([
      { author_id: author.id, title: "Kindred", pages: 264 },
      { author_id: author.id, title: "Dawn", pages: 248 },
    ]),
  );
  const found = ok(
    await ada.from("contract_books").select("title, author:contract_authors!author_id(name)").or(
      "pages.gt.260,title.eq.none",
    )
      .eq("author_id", author.id),
  );
  equal(found, [{ title: "Kindred", author: { name: "Octavia" } }]);
  const counted = await ada.from("contract_books").select("*", { count: "exact", head: true }).eq(
    "author_id",
    author.id,
  );
  equal(counted.count, 2);
  const upserted = ok(
    await ada.from("contract_authors").upsert({ name: "Octavia", born: 1900 }, { onConflict: "name" }).select("born"),
  );
  equal(upserted, [{ born: 1900 }]);
  equal((await ada.from("contract_authors").delete().eq("id", author.id)).status, 204);
  equal(ok(await ada.from("contract_books").select("id").eq("title", "nothing").maybeSingle()), null);
});

test("REST: functions and errors", async () => {
  equal(ok(await ada.rpc("contract_add", { a: 1, b: 2 })), 3);
  equal(ok(await ada.rpc("contract_series", { up_to: 3 }, { get: true }).gt("n", 2)), [{ n: 3, square: 9 }]);
  const failed = await ada.rpc("contract_fail", { state: "ORC01" });
  equal([failed.status, failed.error?.code, failed.error?.message, failed.error?.hint], [
    400,
    "ORC01",
    "it failed",
    "the hint",
  ]);
  equal((await ada.from("contract_nowhere").select()).error?.code, "PGRST205");
  equal((await createClient(given.url, given.anon_key, options).from("contract_books").select()).error?.code, "42501");
});

test("RLS: rows belong to their owner", async () => {
  ok(await bob.from("contract_notes").insert({ body: "bob's" }));
  equal(ok(await bob.from("contract_notes").select("body")), [{ body: "bob's" }]);
  equal(ok(await ada.from("contract_notes").select("body").eq("body", "bob's")), []);
  equal(ok(await service.from("contract_notes").select("owner").eq("body", "bob's")), [{ owner: given.bob.id }]);
});

test("Auth: the user, the session, the administration", async () => {
  const client = await signedIn(given.ada);
  equal((await client.auth.getUser()).data.user?.email, given.ada.email);
  const before = (await client.auth.getSession()).data.session!;
  const after = (await client.auth.refreshSession()).data.session!;
  if (after.refresh_token === before.refresh_token) throw new Error("the refresh token did not change");
  const wrong = await client.auth.signInWithPassword({ email: given.ada.email, password: "wrong" });
  equal([wrong.error?.status, wrong.error?.code], [400, "invalid_credentials"]);
  equal((await service.auth.admin.getUserById(given.bob.id)).data.user?.email, given.bob.email);
  equal((await ada.auth.admin.listUsers()).error?.status, 403);
  await client.auth.signOut();
});

test("Storage: upload, download, sign, list, remove", async () => {
  const files = ada.storage.from(BUCKET);
  const name = `${given.ada.id}/js/note.txt`;
  ok(await files.upload(name, new Blob(["written by js"]), { contentType: "text/plain", upsert: true }));
  equal(await ok(await files.download(name))!.text(), "written by js");
  const again = await files.upload(name, "again");
  equal((again.error as { statusCode?: string } | null)?.statusCode, "409");
  const signed = ok(await files.createSignedUrl(name, 60))!.signedUrl;
  equal(await (await fetch(signed)).text(), "written by js");
  equal(ok(await files.list(`${given.ada.id}/js`))!.map((entry) => entry.name), ["note.txt"]);
  equal(ok(await files.info(name))!.size, 13);
  if (!(await bob.storage.from(BUCKET).download(name)).error) throw new Error("bob could read ada's object");
  equal(ok(await files.remove([name]))!.length, 1);
});

function joined(client: SupabaseClient, topic: string, isPrivate: boolean, heard: (payload: unknown) => void) {
  const channel = client.channel(topic, { config: { private: isPrivate, broadcast: { self: false, ack: true } } });
  channel.on("broadcast", { event: "changed" }, (message) => heard(message.payload));
  return new Promise<typeof channel>((resolve, reject) =>
    channel.subscribe((status, error) => {
      if (status === "SUBSCRIBED") resolve(channel);
      else if (status !== "CLOSED") reject(error ?? new Error(status));
    })
  );
}

test("Realtime: the database rings, people talk, strangers stay out", async () => {
  const topic = `contract:${given.ada.id}`;
  const rung = Promise.withResolvers<{ text: string }>();
  await joined(ada, topic, true, (payload) => rung.resolve(payload as { text: string }));
  ok(await ada.rpc("contract_ring", { topic }));
  equal((await rung.promise).text, "x");

  const said = Promise.withResolvers<unknown>();
  await joined(bob, "contract-js", false, said.resolve);
  const speaker = await joined(ada, "contract-js", false, () => {});
  equal(await speaker.send({ type: "broadcast", event: "changed", payload: { said: "grüße" } }), "ok");
  equal(await said.promise, { said: "grüße" });

  let refused = "";
  await joined(bob, topic, true, () => {}).catch((error) => refused = String(error));
  if (!refused.includes("permissions")) throw new Error(`bob joined ada's topic: ${refused}`);
  await Promise.all([ada.removeAllChannels(), bob.removeAllChannels()]);
  ada.realtime.disconnect();
  bob.realtime.disconnect();
});

test("Functions: invoked by name", async () => {
  const health = ok(await ada.functions.invoke("ops-executor/v1/health", { method: "GET" }));
  equal(health.status, "ok");
  if (!(await ada.functions.invoke("nothing-here")).error) throw new Error("an unknown function answered");
});
