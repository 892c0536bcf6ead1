// What stands above the log: its state, search, filters, and how it is shown.
import { createElement as h } from "react";
import { glyphs } from "./glyphs.js";

const STATES = {
  connecting: ["claimed", "Connecting"],
  live: ["succeeded", "Live"],
  reconnecting: ["warn", "Reconnecting"],
  ended: ["pending", "Complete"],
};

const button = (label, glyph, onClick, more = {}) =>
  h("button", { type: "button", className: "btn btn-ghost btn-small btn-icon", "aria-label": label, title: label, onClick, ...more }, glyph);

const choice = (label, value, onChange, options, className = "") =>
  h("select", { className: `input log-choice ${className}`, "aria-label": label, value, onChange: (e) => onChange(e.target.value) },
    options.map(([key, text]) => h("option", { key, value: key }, text)));

function Search({ search }) {
  const { box, query, setQuery, only, setOnly, hit, hits, go, copy } = search;
  const keys = (event) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      setQuery("");
      box.current.blur();
    } else return;
    event.preventDefault();
  };
  return h(
    "div",
    { className: "log-find", "data-on": query ? true : undefined },
    h("input", { ref: box, className: "input log-search", type: "search", placeholder: "Search  /", "aria-label": "Search in the log", value: query, spellCheck: false,
      onChange: (e) => setQuery(e.target.value), onKeyDown: keys }),
    query
      ? h("span", { className: "log-hits num", role: "status", "aria-label": `${hits.length} lines match` }, hits.length ? `${hit + 1} / ${hits.length.toLocaleString()}` : "none")
      : null,
    query ? button("Previous match", glyphs.up, () => go(-1), { disabled: !hits.length }) : null,
    query ? button("Next match", glyphs.down, () => go(1), { disabled: !hits.length }) : null,
    query ? button("Copy a link to this match (l)", glyphs.link, copy, { disabled: hits[hit] === undefined }) : null,
    query ? button("Only lines that match", glyphs.filter, () => setOnly(!only), { "aria-pressed": only }) : null,
  );
}

export function LogHead({ src, state, lines, shown, steps, step, select, level, setLevel, kept, keep, follow, toEnd, setFollow, copied, search }) {
  const [tone, word] = STATES[state] ?? ["failed", state];
  const count = !lines ? "" : shown.length === lines.length ? `${lines.length.toLocaleString()} line${lines.length === 1 ? "" : "s"}`
    : `${shown.length.toLocaleString()} of ${lines.length.toLocaleString()} lines`;
  const known = step && !steps.includes(step) ? [...steps, step] : steps;
  return h(
    "header",
    { className: "log-head" },
    h("h2", null, "Log"),
    h("span", { className: "badge badge-plain", "data-state": tone, role: "status" }, h("i", { className: "feed-dot" }), word),
    h("span", { className: "log-count faint num", role: "status" }, copied ? `Link to line ${copied} copied` : count),
    h(Search, { search }),
    h("div", { className: "log-tools" },
      choice("Step", step, (value) => select({ step: value }), [["", "All steps"], ...known.map((s) => [s, s])], "log-steps"),
      choice("Level", level, setLevel, [["all", "All levels"], ["info", "Info up"], ["warn", "Warnings up"], ["error", "Errors"]]),
      choice("Times", kept.time, (time) => keep({ time }), [["clock", "Time of day"], ["elapsed", "Since start"], ["full", "Date and time"], ["off", "No times"]]),
      button("Wrap long lines", glyphs.wrap, () => keep({ wrap: !kept.wrap }), { "aria-pressed": kept.wrap }),
      h("details", { className: "log-menu", onBlur: (e) => e.currentTarget.contains(e.relatedTarget) || e.currentTarget.removeAttribute("open") },
        h("summary", { className: "btn btn-ghost btn-small btn-icon", "aria-label": "Download the log", title: "Download the log" }, glyphs.download),
        h("div", { className: "menu", onClick: (e) => e.currentTarget.parentNode.removeAttribute("open") },
          h("a", { className: "menu-item", href: `${src}.txt`, download: true }, "Plain text"),
          h("a", { className: "menu-item", href: `${src}.jsonl`, download: true }, "JSON Lines, every event"))),
      state === "ended"
        ? h("button", { type: "button", className: "btn btn-small log-follow", onClick: toEnd, title: "Go to the last line (f)" }, glyphs.follow, "End")
        : h("button", { type: "button", className: "btn btn-small log-follow", "aria-pressed": follow, onClick: () => (follow ? setFollow(false) : toEnd()), title: "Keep the newest line in sight (f)" },
          glyphs.follow, follow ? "Following" : "Follow")),
  );
}
