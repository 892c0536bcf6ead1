// The fields of a launch form. They keep a tree of texts in the shape of the params (opsroom/room/params_form.py);
// the server is told of it as one types, and answers what is wrong by JSON pointer.
import { createElement as h, useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { age } from "./clock.js";
import { recall, remember } from "./memory.js";

const TELL_MS = 250;
const step = (pointer, name) => `${pointer}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;
const idOf = (pointer) => `param.${pointer.slice(1).replaceAll("/", ".")}`;
const isBlank = (value) => typeof value === "string" && !value.trim();
const set = (tree, [name, ...rest], value) => {
  const copy = Array.isArray(tree) ? tree.slice() : { ...tree };
  copy[name] = rest.length ? set(tree[name], rest, value) : value;
  return copy;
};

// What is wrong with a field: found at its pointer, or inside of it where no field of its own could show it.
function wrongAt(errors, pointer, field) {
  if (errors[pointer]) return errors[pointer];
  if (field.kind === "list") return "";
  const known = field.kind === "object" ? field.fields.map((inner) => step(pointer, inner.name)) : [];
  const inside = Object.keys(errors).find((at) => at.startsWith(`${pointer}/`) && !known.some((k) => at === k || at.startsWith(`${k}/`)));
  return inside ? `${inside.slice(pointer.length + 1).replaceAll("/", " ")}: ${errors[inside]}` : "";
}

const icon = (d) =>
  h("svg", { width: 14, height: 14, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round", strokeLinejoin: "round", "aria-hidden": true }, h("path", { d }));
const ALERT = "M12 8v4m0 4h.01M22 12a10 10 0 1 1-20 0 10 10 0 0 1 20 0Z";
const KEY = "m15.5 7.5 3 3L22 7l-3-3m2-2-9.6 9.6M13 15.5a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0Z";

function Message({ id, wrong, hint }) {
  if (wrong) return h("div", { className: "field-error", id: `${id}-error`, role: "alert" }, icon(ALERT), h("span", null, wrong));
  return hint ? h("div", { className: "field-hint", id: `${id}-hint` }, hint) : null;
}

function Control({ field, value, id, wrong, label, onChange, onLeave }) {
  const common = {
    id, className: "input", "aria-invalid": wrong ? "true" : "false", "aria-describedby": wrong ? `${id}-error` : `${id}-hint`, "aria-required": String(field.required),
    "aria-label": label, value: value ?? "", onChange: (event) => onChange(event.target.value), onBlur: onLeave,
  };
  const typing = { ...common, placeholder: field.placeholder, autoComplete: "off", spellCheck: false };
  switch (field.kind) {
    case "enum":
      return h("select", common, field.required && field.start ? null : h("option", { value: "" }, field.required ? "Choose…" : "None"), field.options.map((option) => h("option", { key: option, value: option }, option)));
    case "boolean":
      return h("label", { className: "switch" }, h("input", { type: "checkbox", id, "aria-label": label, checked: value === true, onChange: (event) => onChange(event.target.checked) }), h("span", { className: "muted" }, value ? "Yes" : "No"));
    case "multiline":
      return h("textarea", typing);
    case "json":
      return h("textarea", { ...typing, className: "input code", rows: 5, placeholder: field.placeholder || "JSON" });
    case "integer":
      return h("input", { ...typing, type: "text", inputMode: "numeric" });
    case "number":
      return h("input", { ...typing, type: "text", inputMode: "decimal" });
    case "datetime":
      return h("input", { ...common, type: "datetime-local" });
    case "date":
      return h("input", { ...common, type: "date" });
    case "secret":
      return h("div", { className: "input-icon" }, icon(KEY), h("input", { ...typing, type: "text", className: "input code", title: "The name of a secret that workers know, and never its value." }));
    default:
      return h("input", { ...typing, type: "text", inputMode: { email: "email", url: "url" }[field.kind] });
  }
}

// A list: one row for each item, the keyboard adds (Enter in the last row) and removes (Backspace in an empty one).
function Items({ field, value, pointer, at, label, form }) {
  const [item] = field.item;
  const rows = Array.isArray(value) ? value : [];
  const box = useRef(null);
  const plain = !["list", "object"].includes(item.kind);
  const full = field.most > 0 && rows.length >= field.most;
  const focus = (index) => box.current?.querySelectorAll(":scope > .item")[index]?.querySelector("input, textarea, select")?.focus();
  // Drawn at once: the next key that is typed belongs into the row that was asked for.
  const change = (next) => flushSync(() => form.change(at, next, pointer, true));
  const add = () => {
    if (full) return;
    change([...rows, item.start]);
    focus(rows.length);
  };
  const remove = (index) => {
    change(rows.filter((_, other) => other !== index));
    if (rows.length > 1) focus(Math.max(0, index - 1));
    else box.current?.querySelector(".add-item")?.focus();
  };
  const keys = (index) => (event) => {
    if (!plain || event.target.tagName === "TEXTAREA") return;
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      if (!isBlank(rows[index])) index === rows.length - 1 ? add() : focus(index + 1);
    } else if (event.key === "Backspace" && rows[index] === "") {
      event.preventDefault();
      remove(index);
    }
  };
  let place = 0; // empty rows are left out of the params, so they do not count in what is wrong
  return h(
    "div",
    { className: "items", ref: box, role: "group", "aria-label": label },
    rows.map((row, index) => {
      const inner = step(pointer, place);
      place += isBlank(row) ? 0 : 1;
      return h(
        "div",
        { className: plain ? "item" : "item item-large", key: index, onKeyDown: keys(index) },
        h(Field, { field: { ...item, hint: "" }, value: row, pointer: isBlank(row) ? `${pointer}/-${index}` : inner, at: [...at, index], form, label: `${label} ${index + 1}`, bare: plain }),
        h("button", { type: "button", className: "btn btn-ghost btn-icon btn-small", "aria-label": `Remove ${label} ${index + 1}`, onClick: () => remove(index) }, icon("M18 6 6 18M6 6l12 12")),
      );
    }),
    h("button", { type: "button", className: "btn btn-ghost btn-small add-item", disabled: full, "aria-label": `Add to ${label}`, onClick: add }, icon("M12 5v14M5 12h14"), full ? `No more than ${field.most}` : "Add"),
  );
}

function Field({ field, value, pointer, at, form, label, bare }) {
  const id = idOf(pointer);
  const wrong = form.shows(pointer) ? wrongAt(form.errors, pointer, field) : "";
  const name = label ?? field.label;
  const change = (next) => form.change(at, next, pointer, field.kind === "boolean" || field.kind === "enum");
  const control =
    field.kind === "list"
      ? h(Items, { field, value, pointer, at, label: name, form })
      : field.kind === "object"
        ? h("div", { className: "form-grid inner" }, field.fields.map((inner) => h(Field, { key: inner.name, field: inner, value: value?.[inner.name], pointer: step(pointer, inner.name), at: [...at, inner.name], form })))
        : h(Control, { field, value, id, wrong, label: bare ? name : undefined, onChange: change, onLeave: () => form.leave(pointer) });
  if (bare) return h("div", { className: "field grow" }, control, h(Message, { id, wrong, hint: "" }));
  const group = field.kind === "list" || field.kind === "object";
  const count = field.longest && !group && String(value ?? "").length > field.longest * 0.8 ? `${String(value).length}/${field.longest}` : "";
  const head = [name, field.required || field.kind === "boolean" ? null : h("span", { className: "required", key: "o" }, "optional"), count ? h("span", { className: "required num", key: "c" }, count) : null];
  return h(
    "div",
    { className: field.wide ? "field wide" : "field", role: field.kind === "object" ? "group" : undefined, "aria-label": field.kind === "object" ? name : undefined },
    group ? h("div", { className: "field-label" }, head) : h("label", { className: "field-label", htmlFor: id }, head),
    control,
    h(Message, { id, wrong, hint: field.hint }),
  );
}

// `memory` names what this person launched last; `attempt` counts the refused launches: then all that is wrong shows.
export function ParamsForm({ fields, start, errors, attempt, memory, filled, onEdit }) {
  const [tree, setTree] = useState(() => recall(filled ? "" : memory, fields, start).tree);
  const [since, setSince] = useState(() => recall(filled ? "" : memory, fields, start).at);
  const [touched, setTouched] = useState(() => new Set());
  const box = useRef(null);
  const timer = useRef(0);
  const latest = useRef(tree);
  latest.current = tree;
  const tell = (now) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onEdit?.(JSON.stringify(latest.current)), now ? 0 : TELL_MS);
  };
  useEffect(() => {
    if (since || filled) tell(true);
    return () => clearTimeout(timer.current);
  }, []);
  useEffect(() => {
    const keep = () => remember(memory, fields, latest.current);
    window.addEventListener("opsroom:launched", keep);
    return () => window.removeEventListener("opsroom:launched", keep);
  }, [memory]);
  useEffect(() => {
    if (attempt) box.current?.closest("form")?.querySelector('[aria-invalid="true"]')?.focus();
  }, [attempt]);
  const touch = (pointer) => setTouched((old) => (old.has(pointer) ? old : new Set(old).add(pointer)));
  const form = {
    errors: errors ?? {},
    shows: (pointer) => attempt > 0 || touched.has(pointer),
    change: (at, value, pointer, now) => {
      setTree((old) => set(old, at, value));
      if (!isBlank(value)) touch(pointer);
      tell(now);
    },
    leave: (pointer) => {
      touch(pointer);
      tell(true);
    },
  };
  const afresh = () => {
    setTree(start);
    setSince(0);
    setTouched(new Set());
    tell(true);
  };
  return h(
    "div",
    { ref: box, className: "stack", style: { gap: "var(--s-4)" } },
    since ? h("div", { className: "remembered" }, h("span", null, `As you launched it last, ${age(Date.now() - since)} ago.`), h("button", { type: "button", className: "link", onClick: afresh }, "Start from the defaults")) : null,
    h("div", { className: "form-grid" }, fields.map((field) => h(Field, { key: field.name, field, value: tree[field.name], pointer: step("", field.name), at: [field.name], form }))),
    h("input", { type: "hidden", name: "params", value: JSON.stringify(tree), readOnly: true }),
  );
}
