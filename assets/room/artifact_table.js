// A CSV file as a table, and the list of what is in an archive.
import { createElement as h } from "react";
import { glyphs } from "./glyphs.js";

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let value = count;
  let unit = 0;
  for (; value >= 1000 && unit < 3; unit++) value /= 1000;
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const isNumber = (text) => /^\s*[-+]?[\d.,]*\d[\d.,]*%?\s*$/.test(text ?? "");

function cuts({ rows, columns, cells }, shown) {
  return [rows && `the first ${shown.toLocaleString()} rows`, columns && `${columns} more columns are left out`, cells && "long cells are cut"].filter(Boolean).join(", ");
}

export function Table({ view }) {
  const numeric = view.head.map((_, i) => view.rows.length > 0 && view.rows.slice(0, 50).every((row) => !row[i] || isNumber(row[i])));
  const cut = cuts(view.cut, view.rows.length);
  return h(
    "div",
    null,
    h("div", { className: "artifact-bar" }, h("span", { className: "num", role: "note" }, cut ? `Shown: ${cut}. The source has all.` : `${view.rows.length.toLocaleString()} row${view.rows.length === 1 ? "" : "s"}`)),
    !view.head.length ? h("p", { className: "artifact-wait faint" }, "This table is empty.")
      : h("div", { className: "table-scroll artifact-scroll", tabIndex: 0, role: "region", "aria-label": view.name },
        h("table", null,
          h("thead", null, h("tr", null, h("th", { className: "row-number", scope: "col" }, "#"), view.head.map((cell, i) => h("th", { key: i, scope: "col", className: numeric[i] ? "num" : "" }, cell)))),
          h("tbody", null, view.rows.map((row, n) => h("tr", { key: n }, h("td", { className: "row-number num" }, n + 1),
            view.head.length >= row.length ? view.head.map((_, i) => h("td", { key: i, className: numeric[i] ? "num" : "" }, row[i] ?? ""))
              : row.map((cell, i) => h("td", { key: i }, cell))))))),
  );
}

const KINDS = { folder: glyphs.folder, file: glyphs.file, link: glyphs.link, special: glyphs.warn };

export function Listing({ view }) {
  const rest = view.count - view.entries.length;
  const said = `${view.count.toLocaleString()}${view.cut && rest <= 1 ? " or more" : ""} entr${view.count === 1 ? "y" : "ies"}, ${bytes(view.unpacked)} once unpacked`;
  return h(
    "div",
    null,
    h("div", { className: "artifact-bar" }, h("span", { className: "num", role: "note" }, `${said}. Listed only, nothing was unpacked.`),
      view.cut ? h("span", null, `Shown: the first ${view.entries.length.toLocaleString()}.`) : null),
    !view.entries.length ? h("p", { className: "artifact-wait faint" }, "This archive is empty.")
      : h("div", { className: "table-scroll artifact-scroll", tabIndex: 0, role: "region", "aria-label": `What is in ${view.name}` },
        h("table", { className: "listing" },
          h("thead", null, h("tr", null, h("th", { scope: "col" }, "Name"), h("th", { scope: "col", className: "num" }, "Size"), h("th", { scope: "col", className: "num" }, "Changed"))),
          h("tbody", null, view.entries.map((entry, i) => h("tr", { key: i },
            h("td", null, h("span", { className: "entry-name" }, KINDS[entry.kind], h("span", { className: "cut", title: entry.name }, entry.name),
              entry.target ? h("span", { className: "faint cut" }, `→ ${entry.target}`) : null,
              entry.leaves ? h("span", { className: "badge", "data-state": "warn", title: "Unpacked carelessly, this would write outside of its folder" }, "leaves the folder") : null)),
            h("td", { className: "num" }, entry.kind === "file" ? bytes(entry.size) : ""),
            h("td", { className: "num faint" }, entry.at)))))),
  );
}
