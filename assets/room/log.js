// The live log of one run: server-sent events into a virtual list, drawn once per animation frame.
import { createElement as h, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Virtuoso } from "react-virtuoso";

const LEVELS = { all: () => true, warn: (l) => l.l === "warn" || l.l === "error", error: (l) => l.l === "error" };
const CLOCK = new Intl.DateTimeFormat([], { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const time = (at) => CLOCK.format(new Date(at));

function useLines(src) {
  const [lines, setLines] = useState(null);
  const [state, setState] = useState("connecting");
  useEffect(() => {
    if (!src) return undefined;
    let source = null;
    let last = 0;
    let frame = 0;
    let ended = false;
    let waiting = [];
    const all = [];
    const draw = () => {
      frame = 0;
      for (const line of waiting) {
        line.n = all.length + 1;
        all.push(line);
      }
      waiting = [];
      setLines(all.slice());
    };
    const open = () => {
      if (source || ended) return;
      source = new EventSource(`${src}?after=${last}`);
      source.addEventListener("lines", (event) => {
        const batch = JSON.parse(event.data);
        if (batch.last <= last && batch.lines.length) return; // told twice after a reconnect
        last = Math.max(last, batch.last);
        waiting.push(...batch.lines);
        setState("live");
        frame ||= requestAnimationFrame(draw);
      });
      source.addEventListener("end", () => {
        ended = true;
        setState("ended");
        shut();
      });
      source.addEventListener("refused", (event) => {
        ended = true;
        setState(JSON.parse(event.data).message);
        shut();
      });
      source.onopen = () => setState("live");
      source.onerror = () => {
        setState("reconnecting");
        shut();
        setTimeout(() => document.visibilityState === "visible" && open(), 1000);
      };
    };
    const shut = () => {
      source?.close();
      source = null;
    };
    // A browser allows six connections per origin: a tab nobody looks at gives its own back.
    const seen = () => (document.visibilityState === "visible" ? open() : shut());
    document.addEventListener("visibilitychange", seen);
    seen();
    return () => {
      ended = true;
      document.removeEventListener("visibilitychange", seen);
      cancelAnimationFrame(frame);
      shut();
    };
  }, [src]);
  return [lines, state];
}

function Line({ line }) {
  return h(
    "div",
    { className: "log-line", "data-kind": line.k, "data-level": line.l },
    h("span", { className: "log-number" }, line.n),
    h("span", { className: "log-time" }, time(line.t)),
    h("span", { className: "log-step cut", title: line.s }, line.s),
    h("span", { className: "log-text" }, line.m || " "),
  );
}

const Edge = () => h("div", { style: { height: 8 } });

const STATES = {
  connecting: ["claimed", "Connecting"],
  live: ["succeeded", "Following live"],
  reconnecting: ["warn", "Reconnecting"],
  ended: ["pending", "Complete"],
};

export function LogView({ src, live }) {
  const [lines, state] = useLines(src);
  const [follow, setFollow] = useState(true);
  const [level, setLevel] = useState("all");
  const [wrap, setWrap] = useState(true);
  const [query, setQuery] = useState("");
  const list = useRef(null);
  const shown = useMemo(() => {
    if (!lines) return [];
    const needle = query.trim().toLowerCase();
    const keep = LEVELS[level];
    return level === "all" && !needle ? lines : lines.filter((l) => keep(l) && (!needle || l.m.toLowerCase().includes(needle)));
  }, [lines, level, query]);
  const jump = useCallback(() => {
    setFollow(true);
    list.current?.scrollToIndex({ index: "LAST", align: "end" });
  }, []);
  // Heights of wrapped lines are known after the first drawing only: go to the end once more then.
  const any = shown.length > 0;
  useEffect(() => {
    if (any) requestAnimationFrame(() => list.current?.scrollToIndex({ index: "LAST", align: "end" }));
  }, [any]);
  const [tone, word] = STATES[state] ?? ["failed", state];
  const body = !lines
    ? h("div", { className: "log-wait stack" }, [72, 48, 64, 56, 40].map((w, i) => h("div", { key: i, className: "skeleton", style: { width: `${w}%` } })))
    : !shown.length
      ? h("div", { className: "log-none" }, lines.length ? "No line matches." : live ? "Nothing written yet. Lines appear here as they are written." : "This run wrote nothing.")
      : h(Virtuoso, {
          ref: list,
          className: "log-list",
          data: shown,
          followOutput: follow ? "auto" : false,
          initialTopMostItemIndex: { index: "LAST", align: "end" },
          atBottomStateChange: (bottom) => setFollow(bottom),
          atBottomThreshold: 40,
          increaseViewportBy: 400,
          tabIndex: 0,
          itemContent: (_, line) => h(Line, { line }),
          components: { Header: Edge, Footer: Edge },
        });
  return h(
    "section",
    { className: "log panel", "aria-label": "Log", "data-wrap": wrap },
    h(
      "header",
      { className: "log-head" },
      h("h2", null, "Log"),
      h("span", { className: "badge badge-plain", "data-state": tone, role: "status" }, h("i", { className: "feed-dot" }), word),
      h("span", { className: "log-count faint num" }, lines ? `${shown.length.toLocaleString()} line${shown.length === 1 ? "" : "s"}` : ""),
      h("input", { className: "input log-search", type: "search", placeholder: "Search", "aria-label": "Search in the log", value: query, onChange: (e) => setQuery(e.target.value) }),
      h("select", { className: "input log-level", "aria-label": "Level", value: level, onChange: (e) => setLevel(e.target.value) },
        h("option", { value: "all" }, "All levels"), h("option", { value: "warn" }, "Warnings up"), h("option", { value: "error" }, "Errors")),
      h("button", { type: "button", className: "btn btn-small btn-ghost", "aria-pressed": wrap, onClick: () => setWrap(!wrap) }, wrap ? "No wrap" : "Wrap"),
      h("button", { type: "button", className: "btn btn-small", "aria-pressed": follow, onClick: () => (follow ? setFollow(false) : jump()), title: "Keep the newest line in sight" }, follow ? "Following" : "Follow"),
    ),
    h("div", { className: "log-body", role: "log", "aria-live": "off" }, body),
  );
}
