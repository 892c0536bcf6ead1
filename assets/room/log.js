// The log of one run: a virtual list that is followed, searched, filtered, and linked to line by line.
import { createElement as h, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Virtuoso } from "react-virtuoso";
import { LogHead } from "./log_head.js";
import { timeOf, useLines } from "./log_lines.js";
import { address, isTyping, useKept, useSelection } from "./selection.js";

const RANK = { debug: 0, info: 1, warn: 2, error: 3 };
const LEAST = { all: 0, info: 1, warn: 2, error: 3 };
const Edge = () => h("div", { style: { height: 8 } });

// A text with what was searched marked in it.
function marked(text, needle, key) {
  if (!needle) return text;
  const low = text.toLowerCase();
  const parts = [];
  let at = 0;
  for (let found = low.indexOf(needle); found >= 0; found = low.indexOf(needle, at)) {
    parts.push(text.slice(at, found), h("mark", { key: `${key}.${found}` }, text.slice(found, found + needle.length)));
    at = found + needle.length;
  }
  return parts.length ? [...parts, text.slice(at)] : text;
}

function Line({ line, mode, start, needle, selected, hit, onPick }) {
  return h(
    "div",
    { className: "log-line", "data-kind": line.k, "data-level": line.l, "data-selected": selected || undefined, "data-hit": hit || undefined, "data-line": line.n },
    h("span", { className: "log-number", title: "Copy a link to this line", onClick: () => onPick(line.n) }, line.n),
    mode === "off" ? null : h("span", { className: "log-time" }, timeOf(line, mode, start)),
    h("span", { className: "log-step cut", title: line.s }, line.s),
    h("span", { className: "log-text" }, line.p ? line.p.map(([piece, style], i) => h("span", { key: i, className: style }, marked(piece, needle, i))) : marked(line.m, needle, 0) || " "),
  );
}

export function LogView({ src, live, linked = false }) {
  const [lines, state] = useLines(src);
  const [kept, keep] = useKept("opsroom.log", { wrap: true, time: "clock" });
  const [{ step, line: target }, select] = useSelection(linked);
  const [follow, setFollow] = useState(!target);
  const [level, setLevel] = useState("all");
  const [query, setQuery] = useState("");
  const [only, setOnly] = useState(false);
  const [hit, setHit] = useState(-1);
  const [copied, setCopied] = useState(0);
  const root = useRef(null);
  const list = useRef(null);
  const search = useRef(null);
  const arrived = useRef(0);
  const needle = query.trim().toLowerCase();

  const steps = useMemo(() => [...new Set((lines ?? []).map((l) => l.s).filter(Boolean))], [lines]);
  const start = useMemo(() => Date.parse(((lines ?? []).find((l) => l.s) ?? lines?.[0])?.t), [lines]);
  const shown = useMemo(() => {
    if (!lines) return [];
    const least = LEAST[level];
    if (!least && !step && !(only && needle)) return lines;
    return lines.filter((l) => (RANK[l.l] ?? 1) >= least && (!step || l.s === step) && (!(only && needle) || l.m.toLowerCase().includes(needle)));
  }, [lines, level, step, only, needle]);
  const hits = useMemo(() => {
    const found = [];
    if (needle) shown.forEach((l, i) => l.m.toLowerCase().includes(needle) && found.push(i));
    return found;
  }, [shown, needle]);

  // Where the list is to go. Heights are known only once rows are drawn, so it is sent there again until it has arrived.
  const goal = useRef(-1);
  const touched = useRef(0);
  const following = useRef(follow);
  following.current = follow;
  const frame = useRef(0);
  const settle = useCallback(() => {
    cancelAnimationFrame(frame.current);
    // After the next drawing: before it the list is not as tall as it says, and would stop short.
    frame.current = requestAnimationFrame(() => {
      if (goal.current >= 0) list.current?.scrollToIndex({ index: goal.current, align: "center" });
      else if (following.current) list.current?.scrollToIndex({ index: "LAST", align: "end" });
    });
  }, []);
  const bring = useCallback((index) => {
    goal.current = index;
    list.current?.scrollToIndex({ index, align: "center" });
    settle();
  }, []);
  const ranged = ({ startIndex, endIndex }) => {
    const wanted = goal.current;
    if (wanted < 0) return;
    if (wanted < startIndex || wanted > endIndex) settle();
    else setTimeout(() => goal.current === wanted && (goal.current = -1), 200);
  };
  const touch = () => {
    touched.current = Date.now();
    goal.current = -1;
  };
  const toEnd = useCallback(() => {
    goal.current = -1;
    setFollow(true);
    following.current = true;
    list.current?.scrollToIndex({ index: "LAST", align: "end" });
    settle();
  }, []);
  const go = (way) => {
    if (!hits.length) return;
    const next = hit < 0 ? (way > 0 ? 0 : hits.length - 1) : (Math.min(hit, hits.length - 1) + way + hits.length) % hits.length;
    setHit(next);
    setFollow(false);
    bring(hits[next]);
  };
  const pick = (n) => {
    if (linked) select({ line: n });
    arrived.current = n;
    setFollow(false);
    const link = linked ? address({}, n).href : new URL(`${src.replace(/^\/api|\/log$/g, "")}#L${n}`, window.location.origin).href;
    navigator.clipboard?.writeText(link).then(() => setCopied(n), () => {});
  };

  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(0), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  // A new search begins at its first hit; one that already stands somewhere is not moved by lines that arrive.
  const found = hits.length > 0;
  useEffect(() => {
    setHit(found ? 0 : -1);
    if (found) {
      setFollow(false);
      bring(hits[0]);
    }
  }, [needle, only, found]);
  // A log opens at its end; a step of a run that is over, at its beginning.
  const any = shown.length > 0;
  useEffect(() => {
    if (!any || target || needle) return;
    if (step && !live) {
      setFollow(false);
      bring(0);
    } else toEnd();
  }, [any, step]);
  // The line that the address names, once it is there.
  const place = target && arrived.current !== target ? shown.findIndex((l) => l.n === target) : -1;
  useEffect(() => {
    if (place < 0) return;
    arrived.current = target;
    setFollow(false);
    requestAnimationFrame(() => {
      bring(place);
      root.current?.scrollIntoView({ block: "nearest" });
    });
  }, [place, target]);

  useEffect(() => {
    if (!linked) return undefined;
    const press = (event) => {
      if (isTyping(event)) return;
      if (event.key === "/") search.current?.focus();
      else if (event.key === "f") follow && state !== "ended" ? setFollow(false) : toEnd();
      else if (event.key === "w") keep({ wrap: !kept.wrap });
      else if (event.key === "l" && (hits[hit] !== undefined || target)) pick(hits[hit] === undefined ? target : shown[hits[hit]].n);
      else if (event.key === "n" || event.key === "N") go(event.key === "n" ? 1 : -1);
      else if (event.key === "Escape" && (step || target)) select({ step: "", line: 0 });
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  });

  const nothing = !lines ? null
    : !lines.length ? (live ? "Nothing written yet. Lines appear here as they are written." : "This run wrote nothing.")
      : step && !lines.some((l) => l.s === step) ? `Step ${step} has written nothing${live ? " yet" : ""}.` : "No line matches.";
  const body = !lines
    ? h("div", { className: "log-wait stack" }, [72, 48, 64, 56, 40].map((w, i) => h("div", { key: i, className: "skeleton", style: { width: `${w}%` } })))
    : !shown.length
      ? h("div", { className: "log-none" }, nothing)
      : h(Virtuoso, {
          ref: list,
          className: "log-list",
          data: shown,
          followOutput: follow ? "auto" : false,
          atBottomStateChange: (bottom) => (bottom ? setFollow(goal.current < 0 && !(needle && hit >= 0)) : Date.now() - touched.current < 1000 && setFollow(false)),
          rangeChanged: ranged,
          totalListHeightChanged: settle,
          atBottomThreshold: 40,
          increaseViewportBy: 400,
          tabIndex: 0,
          itemContent: (i, line) => h(Line, { line, mode: kept.time, start, needle, selected: line.n === target, hit: hits[hit] === i, onPick: pick }),
          components: { Header: Edge, Footer: Edge },
        });
  return h(
    "section",
    { ref: root, className: "log panel", "aria-label": "Log", "data-wrap": kept.wrap, "data-time": kept.time, "data-lines": lines?.length ?? 0, "data-log": state },
    h(LogHead, { src, state, lines, shown, steps, step, select, level, setLevel, kept, keep, follow, toEnd, setFollow, copied,
      search: { box: search, query, setQuery, only, setOnly, hit, hits, go, copy: () => pick(shown[hits[hit]].n) } }),
    h("div", { className: "log-body", role: "log", "aria-live": "off", onWheel: touch, onTouchMove: touch, onPointerDown: touch, onKeyDown: touch }, body),
  );
}
