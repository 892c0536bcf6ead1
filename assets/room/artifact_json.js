// A JSON document as a tree: rows come from the server in reading order, each knowing where its inside ends.
import { createElement as h, useMemo, useRef, useState } from "react";
import { List } from "./artifact_list.js";
import { glyphs } from "./glyphs.js";

const [DEPTH, NAME, TYPE, TEXT, NEXT] = [0, 1, 2, 3, 4];
const OPEN_AT_FIRST = 300;

// Small documents come unfolded; of large ones the first two levels.
const foldedAtFirst = (rows) => new Set(rows.length <= OPEN_AT_FIRST ? [] : rows.flatMap((row, i) => (row[DEPTH] >= 1 && row[NEXT] > i + 1 ? [i] : [])));

const valueOf = (row) =>
  row[TYPE] === "string" ? JSON.stringify(row[TEXT]) : row[TYPE] === "object" ? `{${row[TEXT] || ""}}` : row[TYPE] === "array" ? `[${row[TEXT] || ""}]` : row[TEXT];

export function JsonTree({ view }) {
  const { rows } = view;
  const [folded, setFolded] = useState(() => foldedAtFirst(rows));
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef(null);
  const needle = query.trim().toLowerCase();
  const hits = useMemo(() => {
    if (!needle) return [];
    return rows.flatMap((row, i) => {
      const leaf = row[TYPE] !== "object" && row[TYPE] !== "array";
      return String(row[NAME] ?? "").toLowerCase().includes(needle) || (leaf && String(row[TEXT]).toLowerCase().includes(needle)) ? [i] : [];
    });
  }, [rows, needle]);
  const visible = useMemo(() => {
    const seen = [];
    for (let i = 0; i < rows.length; i = folded.has(i) ? rows[i][NEXT] : i + 1) seen.push(i);
    return seen;
  }, [rows, folded]);

  const show = (hit) => {
    const target = hits[hit];
    if (target === undefined) return;
    const open = new Set(folded);
    for (const i of folded) if (i < target && rows[i][NEXT] > target) open.delete(i);
    setFolded(open);
    setAt(hit);
    let place = 0;
    for (let i = 0; i < target; i = open.has(i) ? rows[i][NEXT] : i + 1) place++;
    requestAnimationFrame(() => list.current?.scrollToIndex({ index: place, align: "center" }));
  };
  const toggle = (i) => {
    const next = new Set(folded);
    next.has(i) ? next.delete(i) : next.add(i);
    setFolded(next);
  };
  const keys = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (hits.length) show((at + (event.shiftKey ? -1 : 1) + hits.length) % hits.length);
  };
  const seek = (text) => {
    setQuery(text);
    setAt(-1);
  };
  const step = (label, glyph, way) => h("button", { type: "button", className: "btn btn-ghost btn-small btn-icon", "aria-label": label, title: label, disabled: !hits.length,
    onClick: () => show((at + way + hits.length) % hits.length) }, glyph);

  const line = (_, i) => {
    const row = rows[i];
    const inside = row[NEXT] > i + 1;
    const content = [
      h("span", { key: "f", className: "tree-fold" }, inside ? glyphs.right : null),
      row[NAME] === null ? null : h("span", { key: "n", className: "tree-name", "data-index": typeof row[NAME] === "number" || undefined }, `${row[NAME]}:\u00a0`),
      h("span", { key: "v", className: "tree-value", "data-type": row[TYPE] }, valueOf(row)),
    ];
    const common = { className: "tree-row", "data-hit": (at >= 0 && hits[at] === i) || undefined, style: { paddingLeft: 12 + Math.min(row[DEPTH], 40) * 16 } };
    return inside ? h("button", { type: "button", ...common, "aria-expanded": !folded.has(i), onClick: () => toggle(i) }, content) : h("div", common, content);
  };
  return h(
    "div",
    null,
    h("div", { className: "artifact-bar" },
      h("input", { className: "input", type: "search", placeholder: "Search names and values", "aria-label": "Search in the document", value: query, onChange: (e) => seek(e.target.value), onKeyDown: keys }),
      needle ? h("span", { className: "num", role: "status" }, hits.length ? `${at < 0 ? "" : `${at + 1} / `}${hits.length.toLocaleString()}${at < 0 ? " found" : ""}` : "none") : null,
      needle ? step("Previous match", glyphs.up, -1) : null,
      needle ? step("Next match", glyphs.down, 1) : null,
      h("span", { className: "grow" }),
      view.cut ? h("span", { role: "note" }, `The first ${rows.length.toLocaleString()} values; the source has all.`) : h("span", { className: "num" }, `${rows.length.toLocaleString()} values`),
      h("button", { type: "button", className: "btn btn-ghost btn-small", onClick: () => setFolded(new Set()) }, "Unfold all"),
      h("button", { type: "button", className: "btn btn-ghost btn-small", onClick: () => setFolded(new Set(rows.flatMap((row, i) => (row[DEPTH] >= 1 && row[NEXT] > i + 1 ? [i] : [])))) }, "Fold")),
    h(List, { list, rows: visible, itemContent: line }),
  );
}
