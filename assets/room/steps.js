// The steps of a run, as bars on the time they took or as the graph of what waits for what. Selecting one filters the log.
import { createElement as h, useEffect, useRef } from "react";
import { duration, useServerTime } from "./clock.js";
import { StateMark } from "./glyphs.js";
import { isTyping, useKept, useSelection } from "./selection.js";

const WORDS = { pending: "ahead", running: "running", skipped: "skipped", succeeded: "succeeded", failed: "failed", cancelled: "cancelled", timed_out: "timed out" };
const NICE = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
const said = (s) => (s < 60 ? `${s} s` : s < 3600 ? `${s / 60} m` : `${s / 3600} h`);

const took = (step, now) => (step.status === "running" && step.since ? duration(now - Date.parse(step.since)) : step.carried ? "carried over" : step.took || WORDS[step.status]);
const about = (step) => [step.kind, step.exit_code && `exit code ${step.exit_code}`].filter(Boolean).join(" · ");

function Row({ step, from, length, now, chosen, onPick }) {
  const begun = step.since && !step.carried ? Date.parse(step.since) : null;
  const ended = step.until ? Date.parse(step.until) : begun === null ? null : now;
  const left = begun === null ? 0 : ((begun - from) / length) * 100;
  const width = begun === null ? 0 : (Math.max(0, ended - begun) / length) * 100;
  return h(
    "li",
    null,
    h(
      "button",
      { type: "button", className: "gantt-row", "data-state": step.status, "data-step": step.id, "aria-pressed": chosen, onClick: () => onPick(step.id), title: step.needs ? `after ${step.needs}` : undefined },
      h("span", { className: "gantt-name" }, h(StateMark, { state: step.status }), h("span", { className: "cut step-title" }, step.title), h("span", { className: "gantt-kind cut" }, about(step))),
      h("span", { className: "visually-hidden" }, ` ${WORDS[step.status]} `),
      h("span", { className: "gantt-track", "aria-hidden": true },
        begun === null ? null : h("span", { className: "gantt-bar", style: { left: `${Math.min(left, 99.4)}%`, width: `${Math.min(width, 100 - left)}%` } })),
      h("span", { className: "gantt-time num" }, took(step, now)),
    ),
    step.message ? h("p", { className: "step-message", "data-state": step.status }, step.message) : null,
  );
}

function Gantt({ steps, live, chosen, onPick, now }) {
  const begun = steps.filter((s) => s.since && !s.carried);
  const from = Math.min(...begun.map((s) => Date.parse(s.since)));
  const to = live ? now : Math.max(...begun.map((s) => (s.until ? Date.parse(s.until) : Date.parse(s.since))));
  const length = Math.max(begun.length ? to - from : 0, 200);
  const every = NICE.find((s) => length / 1000 / s <= 6) ?? 86400;
  const ticks = begun.length ? Array.from({ length: Math.floor(length / 1000 / every) + 1 }, (_, i) => i * every) : [];
  return h(
    "div",
    { className: "gantt" },
    h("div", { className: "gantt-axis", "aria-hidden": true }, h("span"),
      h("span", { className: "gantt-ticks" }, ticks.map((s) => h("span", { key: s, className: "num", style: { left: `${((s * 1000) / length) * 100}%` } }, said(s)))), h("span")),
    h("ol", { "aria-label": "Steps" }, steps.map((step) => h(Row, { key: step.id, step, from, length, now, chosen: chosen === step.id, onPick }))),
  );
}

function Graph({ steps, graph, chosen, onPick, now }) {
  const size = { width: graph.width, height: graph.height };
  return h(
    "div",
    { className: "graph", tabIndex: 0, role: "region", "aria-label": "Graph of the steps" },
    h(
      "div",
      { className: "graph-canvas", style: size },
      h("svg", { className: "graph-edges", width: size.width, height: size.height, "aria-hidden": true },
        graph.edges.map((edge) => h("path", { key: edge.d, d: edge.d, "data-state": edge.state }))),
      h("ol", { "aria-label": "Steps" }, steps.map((step) => h("li", { key: step.id },
        h("button", { type: "button", className: "graph-node", "data-state": step.status, "data-step": step.id, "aria-pressed": chosen === step.id, onClick: () => onPick(step.id),
          style: { left: step.x, top: step.y }, title: step.message || step.title },
        h("span", { className: "graph-title" }, h(StateMark, { state: step.status, size: 14 }), h("span", { className: "cut" }, step.title)),
        h("span", { className: "graph-sub" }, h("span", { className: "cut" }, about(step)), h("span", { className: "num" }, took(step, now))))))),
    ),
  );
}

export function StepsView({ steps, graph, note, live, linked = true }) {
  const now = useServerTime();
  const root = useRef(null);
  const [{ step: chosen }, select] = useSelection(linked);
  const [kept, keep] = useKept("opsroom.steps", { view: "bars" });
  const pick = (id) => select({ step: id === chosen ? "" : id });
  useEffect(() => {
    if (!linked) return undefined;
    const press = (event) => {
      if (isTyping(event) || (event.key !== "j" && event.key !== "k") || !steps.length) return;
      const at = steps.findIndex((s) => s.id === chosen);
      const next = at < 0 ? (event.key === "j" ? 0 : steps.length - 1) : Math.max(0, Math.min(steps.length - 1, at + (event.key === "j" ? 1 : -1)));
      event.preventDefault();
      select({ step: steps[next].id });
      root.current?.querySelector(`[data-step="${CSS.escape(steps[next].id)}"]`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  });
  const tab = (view, word) => h("button", { type: "button", className: "segment", "aria-pressed": kept.view === view, onClick: () => keep({ view }) }, word);
  return h(
    "section",
    { ref: root, className: "panel steps", "aria-label": "Steps" },
    h("header", { className: "box-head" }, h("h2", null, "Steps"), h("span", { className: "faint num steps-note" }, note),
      chosen ? h("button", { type: "button", className: "btn btn-ghost btn-small", onClick: () => select({ step: "" }) }, "Show all steps") : null,
      h("div", { className: "segments", role: "group", "aria-label": "View of the steps" }, tab("bars", "Timeline"), tab("graph", "Graph"))),
    !steps.length ? h("p", { className: "box-body faint" }, "This template has no steps.")
      : kept.view === "graph" ? h(Graph, { steps, graph, chosen, onPick: pick, now }) : h(Gantt, { steps, live, chosen, onPick: pick, now }),
  );
}
