// Small line icons for the parts that live in the browser.
import { createElement as h } from "react";

const svg = (...paths) => h("svg", { width: 14, height: 14, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round",
  strokeLinejoin: "round", "aria-hidden": true }, ...paths.map((d, i) => h("path", { key: i, d })));

export const glyphs = {
  up: svg("m6 15 6-6 6 6"),
  down: svg("m6 9 6 6 6-6"),
  right: svg("m9 6 6 6-6 6"),
  close: svg("M6 6l12 12", "M18 6 6 18"),
  filter: svg("M3 5h18l-7 8v6l-4 2v-8z"),
  wrap: svg("M3 6h18", "M3 12h15a3 3 0 0 1 0 6h-4", "m16 16-2 2 2 2", "M3 18h7"),
  download: svg("M12 3v12", "m7 10 5 5 5-5", "M5 21h14"),
  link: svg("M10 13a5 5 0 0 0 7.5.5l3-3a5 5 0 0 0-7-7l-1.7 1.7", "M14 11a5 5 0 0 0-7.5-.5l-3 3a5 5 0 0 0 7 7l1.7-1.7"),
  follow: svg("M12 4v12", "m6 11 6 6 6-6", "M5 20h14"),
  check: svg("m5 12 5 5L20 7"),
  warn: svg("M12 3 2 20h20z", "M12 10v4", "M12 17h.01"),
  folder: svg("M3 6h6l2 2h10v11H3z"),
  file: svg("M6 3h8l4 4v14H6z", "M14 3v4h4"),
  shield: svg("M12 3 4 6v6c0 5 3.5 8 8 9 4.5-1 8-4 8-9V6z"),
};

const MARKS = {
  succeeded: ["m8 12 3 3 5-6"], failed: ["m9 9 6 6", "m15 9-6 6"], cancelled: ["m7 7 10 10"], timed_out: ["M12 8v4l3 2"],
  skipped: ["M8 12h8"], running: ["M21 12a9 9 0 1 1-6.2-8.6"], claimed: ["M21 12a9 9 0 1 1-6.2-8.6"], pending: [],
};

// The shape of a state, in the colour that the nearest data-state gives.
export function StateMark({ state, size = 16 }) {
  const moving = state === "running" || state === "claimed";
  return h("svg", { width: size, height: size, viewBox: "0 0 24 24", fill: "none", stroke: "var(--c)", strokeWidth: 2.2, strokeLinecap: "round", strokeLinejoin: "round",
    className: moving ? "spin" : "", "aria-hidden": true },
  moving ? null : h("circle", { cx: 12, cy: 12, r: 9, strokeDasharray: state === "pending" ? "3 4" : undefined }),
  (MARKS[state] ?? []).map((d) => h("path", { key: d, d })));
}
