// Everything on screen that moves with time by itself: elapsed time, ages, the heartbeat, the freshness of the data.
// One timer serves all of it, and all of it counts by the database's clock: the browser's may be wrong.
import { createElement as h, useEffect, useLayoutEffect, useRef, useSyncExternalStore } from "react";

const listeners = new Set();
let timer = null;
let now = 0;
// Server time minus browser time, in ms. Each sample is too small by the time the answer took, so the largest of the last ones is best.
let offset = 0;
const samples = [];

function tick() {
  now = Date.now();
  for (const listener of listeners) listener();
}

function subscribe(listener) {
  listeners.add(listener);
  if (timer === null) {
    timer = setInterval(tick, 1000);
    now = Date.now(); // what it was when the last one unsubscribed may be long ago
  }
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = null;
    }
  };
}

// What changes with time is written into its element directly: hundreds of them, redrawn through React once a second, would cost more than the
// rest of the page. `paint` gets the element and the server's time; the returned ref says which element.
function useTicking(paint) {
  const node = useRef(null);
  const latest = useRef(paint);
  latest.current = paint;
  useLayoutEffect(() => {
    if (node.current) latest.current(node.current, Date.now() + offset);
  });
  useEffect(() => subscribe(() => {
    if (node.current && !unseen.has(node.current.closest("[data-run]"))) latest.current(node.current, now + offset);
  }), []);
  return node;
}

// Cards out of sight, which the browser does not draw (`content-visibility`): they get the time when they come into sight.
const unseen = new WeakSet();
let due = 0;

if (typeof document !== "undefined") {
  document.addEventListener("contentvisibilityautostatechange", (event) => {
    if (event.skipped) unseen.add(event.target);
    else if (unseen.delete(event.target)) due ||= requestAnimationFrame(() => { due = 0; tick(); });
  }, true);
}

function write(node, text) {
  if (!node.firstChild) node.textContent = text;
  else if (node.firstChild.data !== text) node.firstChild.data = text;
}

function mark(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

const useBrowserTime = () => useSyncExternalStore(subscribe, () => now || (now = Date.now()), () => 0);
export const useServerTime = () => useBrowserTime() + offset;

function learnOffset(readAt) {
  samples.push(Date.parse(readAt) - Date.now());
  if (samples.length > 8) samples.shift();
  offset = Math.max(...samples);
}

const pad = (n) => String(n).padStart(2, "0");

export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(s / 3600);
  const clock = `${hours ? pad(Math.floor((s % 3600) / 60)) : Math.floor(s / 60)}:${pad(s % 60)}`;
  return hours ? `${hours}:${clock}` : clock;
}

export function age(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

// Made once: making a format costs a hundred times what using it does, and every card uses these once a second.
const FULL = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const full = (at) => FULL.format(new Date(at));
const clockTime = (at) => CLOCK.format(new Date(at));

// Time since `since`, as a running clock.
export function Elapsed({ since, until, className }) {
  const node = useTicking((element, time) => write(element, since ? duration((until ? Date.parse(until) : time) - Date.parse(since)) : "–:––"));
  const known = since ? { dateTime: since, title: full(since), role: "timer", "aria-live": "off" } : {};
  return h(since ? "time" : "span", { className, ref: node, ...known });
}

// How long ago, in words that fit a dense row.
export function Ago({ at, prefix, className }) {
  const node = useTicking((element, time) => {
    const ms = time - Date.parse(at);
    write(element, ms < -5000 ? `in ${age(-ms)}` : prefix ? `${prefix}${age(ms)}` : ms < 5000 ? "now" : `${age(ms)} ago`);
  });
  return at ? h("time", { className, dateTime: at, title: full(at), ref: node }) : null;
}

export function Moment({ at, className }) {
  return at ? h("time", { className, dateTime: at, title: full(at) }, clockTime(at)) : null;
}

// The worker's last sign of life. The dot beats once for each heartbeat that arrived, and not by itself.
export function Heartbeat({ at, lease }) {
  const given = lease || 30;
  const node = useTicking((element, time) => {
    if (!at) return;
    const ms = Math.max(0, time - Date.parse(at));
    const share = ms / (given * 1000);
    mark(element, "state", share > 1 ? "failed" : share > 0.6 ? "warn" : "succeeded");
    mark(element, "fresh", share > 0.6 ? "no" : share > 0.3 ? "less" : "yes");
    write(element.lastChild, share > 1 ? `silent ${age(ms)}` : age(ms));
  });
  if (!at) return h("span", { className: "beat faint", "data-state": "pending" }, h("i", { className: "beat-dot" }), "no heartbeat yet");
  return h(
    "span",
    { className: "beat num", ref: node, title: `Last heartbeat ${full(at)}; the worker is given ${given} s` },
    h("i", { className: "beat-dot", key: at }),
    h("span", { className: "visually-hidden" }, "Heartbeat "),
    h("span"),
  );
}

// Shows what it holds once `seconds` have passed since `at`.
export function Later({ at, seconds, children }) {
  const due = () => Boolean(at) && (now ||= Date.now()) + offset - Date.parse(at) > seconds * 1000;
  return useSyncExternalStore(subscribe, due, () => false) ? children : null;
}

const FEED = {
  live: ["succeeded", "Live"],
  catching_up: ["claimed", "Catching up"],
  polling: ["polling", "Polling"],
};
const PATIENCE_MS = 25_000; // the server reads at least every 10 s, so a picture this old is not known to be true

// Says whether the page shows the truth, and since when it does not.
export function FeedPill({ mode, asOf, reason, offline }) {
  const time = useBrowserTime();
  const seen = useRef(0);
  useEffect(() => {
    if (asOf) {
      learnOffset(asOf);
      seen.current = Date.now();
    }
  }, [asOf]);
  useEffect(() => {
    if (mode === "signed_out") window.location.assign("/sign-in?reason=signed_out");
  }, [mode]);
  if (mode === "none" && !offline) return null;
  const old = seen.current && time - seen.current > PATIENCE_MS;
  const stale = offline || mode === "stale" || old;
  const [state, word] = stale ? ["failed", "Stale"] : (FEED[mode] ?? FEED.catching_up);
  const label = stale && asOf && time ? `Stale since ${clockTime(Date.parse(asOf) - offset)}` : stale ? "Not connected" : word;
  const why = offline ? "The room's server does not answer. It is tried again all the time." : reason || "";
  const title = asOf && time ? `As of ${clockTime(Date.parse(asOf) - offset)}. ${why}`.trim() : why;
  return h(
    "span",
    { className: "feed num", "data-state": state, "data-feed": stale ? "stale" : mode, role: "status", title },
    h("i", { className: "feed-dot" }),
    h("span", null, label),
  );
}
