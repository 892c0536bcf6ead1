// What this browser remembers for a person. Names of secrets are left out, and nothing is kept that the server does not know too.
const KEPT = 40;

function without(fields, tree) {
  const kept = {};
  for (const field of fields) {
    if (field.kind === "secret") continue;
    const value = tree[field.name];
    if (field.kind === "object") kept[field.name] = without(field.fields, value ?? {});
    else if (field.kind !== "list") kept[field.name] = value;
    else if (field.item[0].kind === "object") kept[field.name] = value.map((row) => without(field.item[0].fields, row));
    else if (field.item[0].kind !== "secret") kept[field.name] = value;
  }
  return kept;
}

// The template may have changed since: what no longer has the shape of its field starts as the template says.
function fitting(field, value, start) {
  if (value === undefined || field.kind === "secret") return start;
  if (field.kind === "object") return typeof value === "object" && value ? fill(field.fields, value, start) : start;
  if (field.kind === "list") return Array.isArray(value) ? value.map((row) => fitting(field.item[0], row, field.item[0].start)) : start;
  if (field.kind === "boolean") return typeof value === "boolean" ? value : start;
  if (field.kind === "enum" && value !== "" && !field.options.includes(value)) return start;
  return typeof value === "string" ? value : start;
}

function fill(fields, kept, start) {
  return Object.fromEntries(fields.map((field) => [field.name, fitting(field, kept[field.name], start?.[field.name] ?? field.start)]));
}

export function recall(key, fields, start) {
  if (!key) return { tree: start, at: 0 };
  try {
    const { at, tree } = JSON.parse(localStorage.getItem(key));
    return { tree: fill(fields, tree, start), at };
  } catch {
    return { tree: start, at: 0 };
  }
}

export function remember(key, fields, tree) {
  if (!key) return;
  try {
    localStorage.setItem(key, JSON.stringify({ at: Date.now(), tree: without(fields, tree) }));
    const all = Object.keys(localStorage).filter((name) => name.startsWith("opsroom.params."));
    const when = (name) => JSON.parse(localStorage.getItem(name)).at ?? 0;
    for (const old of all.sort((a, b) => when(b) - when(a)).slice(KEPT)) localStorage.removeItem(old);
  } catch {
    // A browser that keeps nothing remembers nothing.
  }
}
