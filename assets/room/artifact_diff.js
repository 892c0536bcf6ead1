// A diff, one side under the other or beside it.
import { createElement as h, useMemo } from "react";
import { List } from "./artifact_list.js";
import { useKept } from "./selection.js";

const [KIND, OLD, NEW, TEXT] = [0, 1, 2, 3];
const SIGNS = { added: "+", removed: "−" };

// Removed lines stand beside the added ones that follow them; what has no partner stands beside nothing.
function paired(rows) {
  const pairs = [];
  for (let i = 0; i < rows.length; ) {
    const kind = rows[i][KIND];
    if (kind === "context") pairs.push({ left: rows[i], right: rows[i++] });
    else if (kind === "removed" || kind === "added") {
      const [left, right] = [[], []];
      while (rows[i]?.[KIND] === "removed") left.push(rows[i++]);
      while (rows[i]?.[KIND] === "added") right.push(rows[i++]);
      for (let n = 0; n < Math.max(left.length, right.length); n++) pairs.push({ left: left[n], right: right[n] });
    } else pairs.push({ line: rows[i++] });
  }
  return pairs;
}

const wide = (row) => h("div", { className: "patch-line", "data-kind": row[KIND] }, row[TEXT] || " ");

function unified(row) {
  if (!["context", "added", "removed"].includes(row[KIND])) return wide(row);
  return h("div", { className: "patch-row", "data-kind": row[KIND] }, h("span", { className: "patch-number" }, row[OLD]), h("span", { className: "patch-number" }, row[NEW]),
    h("span", { className: "patch-sign" }, SIGNS[row[KIND]] ?? ""), h("span", { className: "patch-text" }, row[TEXT]));
}

function side(row, number) {
  const kind = row ? row[KIND] : "blank";
  return [h("span", { key: `n${number}`, className: "patch-number patch-cell", "data-kind": kind }, row?.[number]),
    h("span", { key: `t${number}`, className: "patch-text patch-cell", "data-kind": kind }, row?.[TEXT] ?? "")];
}

const beside = (pair) => (pair.line ? wide(pair.line) : h("div", { className: "patch-row", "data-layout": "split" }, side(pair.left, OLD), side(pair.right, NEW)));

export function DiffRows({ view }) {
  const [kept, keep] = useKept("opsroom.diff", { layout: "unified" });
  const split = kept.layout === "split";
  const pairs = useMemo(() => (split ? paired(view.rows) : []), [view.rows, split]);
  const tab = (layout, word) => h("button", { type: "button", className: "segment", "aria-pressed": kept.layout === layout, onClick: () => keep({ layout }) }, word);
  return h(
    "div",
    null,
    h("div", { className: "artifact-bar" },
      h("span", { className: "grow num patch-counts" }, `${view.files} file${view.files === 1 ? "" : "s"} · `, h("b", null, `+${view.added}`), " ", h("b", null, `−${view.removed}`),
        view.cut ? ` · the first ${view.rows.length.toLocaleString()} lines; the source has all` : ""),
      h("div", { className: "segments", role: "group", "aria-label": "Layout of the diff" }, tab("unified", "Unified"), tab("split", "Side by side"))),
    h(List, { key: kept.layout, rows: split ? pairs : view.rows, itemContent: (_, row) => (split ? beside(row) : unified(row)) }),
  );
}
