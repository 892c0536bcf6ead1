// A list of rows of one artifact: as tall as it needs to be, up to what the page has room for.
import { createElement as h } from "react";
import { Virtuoso } from "react-virtuoso";

const ROW = 20;

export function List({ rows, list, ...more }) {
  return h("div", { className: "artifact-code", style: { height: `min(${rows.length * ROW + 40}px, var(--tall))` } },
    h(Virtuoso, { ref: list, data: rows, increaseViewportBy: 400, tabIndex: 0, initialItemCount: Math.min(rows.length, 60), ...more }));
}
