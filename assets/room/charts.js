// Charts of hours and days, drawn as plain SVG: stacked bars and lines. Pointer and arrow keys read one point; the same numbers stand in a table.
import { createElement as h, useEffect, useRef, useState } from "react";

const HEIGHT = 168;
const PAD = { left: 44, right: 8, top: 8, bottom: 22 };
const day = (at) => new Date(at).toLocaleDateString([], { month: "short", day: "numeric" });
const hour = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const when = (at, grain) => (grain >= 86400 ? new Date(at).toLocaleDateString([], { month: "short", day: "numeric", timeZone: "UTC" }) : grain > 3600 ? `${day(at)} ${hour(at)}` : hour(at));

export function spanOf(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0";
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} d`;
}
const countOf = (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} M` : n >= 1e4 ? `${Math.round(n / 1e3)} k` : `${Math.round(n)}`);
const shareOf = (n) => (n === null || n === undefined ? "–" : n === 1 ? "100 %" : `${(n * 100).toFixed(1)} %`);
const FORMAT = { runs: countOf, seconds: spanOf, share: shareOf };
const TICK = { ...FORMAT, share: (n) => `${n * 100} %` };

// Up to four round steps that reach over the largest value.
function steps(most, unit) {
  if (unit === "share") return [0, 0.5, 1];
  const rough = Math.max(most, unit === "runs" ? 1 : 0.1) / 3;
  const units = unit === "seconds" ? [0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800] : null;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = units ? (units.find((each) => each >= rough) ?? rough) : Math.max(1, [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough));
  return [0, 1, 2, 3].map((n) => n * step);
}

function useWidth() {
  const ref = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}

function Bars({ points, series, x, y, band }) {
  return points.map((point, at) => {
    let base = 0;
    return h("g", { key: point.at }, series.map(({ key, state }) => {
      const value = point[key] ?? 0;
      if (!value) return null;
      const top = y(base + value);
      const height = Math.max(1, y(base) - top);
      base += value;
      return h("rect", { key, "data-state": state, className: "chart-bar", x: x(at) - band / 2, y: top, width: band, height, rx: Math.min(2, band / 3) });
    }));
  });
}

// A line is broken where there was nothing to measure; one point alone is a dot.
function Lines({ points, series, x, y }) {
  return series.map(({ key, state, dashed }) => {
    const parts = [];
    points.forEach((point, at) => {
      const value = point[key];
      if (value === null || value === undefined) return parts.push([]);
      if (!parts.length) parts.push([]);
      parts.at(-1).push([x(at), y(value)]);
    });
    return h("g", { key, "data-state": state }, parts.filter((part) => part.length).map((part, n) =>
      part.length === 1
        ? h("circle", { key: n, className: "chart-dot", cx: part[0][0], cy: part[0][1], r: 2.5 })
        : h("path", { key: n, className: "chart-line", "data-dashed": Boolean(dashed), d: `M${part.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L")}` })));
  });
}

export function Chart({ title, kind, unit, series, points, grain, summary }) {
  const [frame, width] = useWidth();
  const [at, setAt] = useState(null);
  const format = FORMAT[unit];
  const inner = Math.max(0, width - PAD.left - PAD.right);
  const slot = inner / Math.max(1, points.length);
  const total = (point) => series.reduce((sum, { key }) => sum + (point[key] ?? 0), 0);
  const most = Math.max(0, ...points.map((point) => (kind === "bars" ? total(point) : Math.max(0, ...series.map(({ key }) => point[key] ?? 0)))));
  const ticks = steps(most, unit);
  const x = (n) => PAD.left + slot * (n + 0.5);
  const y = (value) => PAD.top + (HEIGHT - PAD.top - PAD.bottom) * (1 - value / ticks.at(-1));
  const shown = at === null ? null : points[Math.min(at, points.length - 1)];
  const read = (event) => {
    const n = Math.floor((event.clientX - frame.current.getBoundingClientRect().left - PAD.left) / slot);
    setAt(n >= 0 && n < points.length ? n : null);
  };
  const key = (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return event.key === "Escape" ? setAt(null) : undefined;
    event.preventDefault();
    setAt(Math.min(points.length - 1, Math.max(0, (at ?? (move > 0 ? -1 : points.length)) + move)));
  };
  const labels = [...new Set([0, Math.floor((points.length - 1) / 2), points.length - 1])].filter((n) => n >= 0);
  return h(
    "figure",
    { className: "panel chart", "aria-label": title },
    h("figcaption", { className: "chart-head" },
      h("h2", null, title),
      h("span", { className: "chart-when faint num", role: "status" }, shown ? when(shown.at, grain) : ""),
      h("ul", { className: "chart-key" }, series.map(({ key: name, label, state, dashed }) =>
        h("li", { key: name, "data-state": state }, h("i", { className: kind === "bars" ? "chart-swatch" : "chart-stroke", "data-dashed": Boolean(dashed) }), label,
          h("span", { className: "num chart-value" }, shown ? format(shown[name] ?? (unit === "runs" ? 0 : null)) : ""))))),
    h("div", { ref: frame, className: "chart-frame", tabIndex: 0, role: "img", "aria-label": `${title}. ${summary}`, onPointerMove: read, onPointerLeave: () => setAt(null), onKeyDown: key, onBlur: () => setAt(null) },
      width
        ? h("svg", { width, height: HEIGHT, "aria-hidden": true },
            ticks.map((tick) => h("g", { key: tick },
              h("line", { className: "chart-grid", x1: PAD.left, x2: width - PAD.right, y1: y(tick), y2: y(tick) }),
              h("text", { className: "chart-text", x: PAD.left - 8, y: y(tick) + 3.5, textAnchor: "end" }, TICK[unit](tick)))),
            labels.map((n) => h("text", { key: n, className: "chart-text", x: Math.min(Math.max(x(n), PAD.left), width - PAD.right), y: HEIGHT - 5, textAnchor: n === 0 ? "start" : n === points.length - 1 ? "end" : "middle" }, when(points[n].at, grain))),
            shown ? h("rect", { className: "chart-here", x: PAD.left + slot * Math.min(at, points.length - 1), y: PAD.top, width: slot, height: HEIGHT - PAD.top - PAD.bottom }) : null,
            kind === "bars" ? h(Bars, { points, series, x, y, band: Math.max(2, Math.min(22, slot * 0.72)) }) : h(Lines, { points, series, x, y }))
        : null,
      most === 0 ? h("span", { className: "chart-none faint" }, "Nothing to measure in this time") : null),
    h("details", { className: "chart-table" },
      h("summary", null, "As a table"),
      h("div", { className: "chart-rows", tabIndex: 0, role: "region", "aria-label": `${title}, as a table` },
        h("table", null,
          h("thead", null, h("tr", null, h("th", { scope: "col" }, grain >= 86400 ? "Day (UTC)" : "From"), series.map(({ key: name, label }) => h("th", { key: name, scope: "col" }, label)))),
          h("tbody", null, [...points].reverse().map((point) =>
            h("tr", { key: point.at }, h("th", { scope: "row" }, when(point.at, grain)), series.map(({ key: name }) => h("td", { key: name, className: "num" }, format(point[name] ?? (unit === "runs" ? 0 : null)))))))))),
  );
}
