// Everything on screen that moves with time by itself: elapsed time, ages, the heartbeat, the freshness of the data.
// One timer serves all of it, and all of it counts by the database's clock: the browser's may be wrong.
import { createElement as h, useEffect, useRef, useState, useSyncExternalStore } from "react";

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
  timer ??= setInterval(tick, 500);
  if (!now) now = Date.now();
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = null;
    }
  };
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

// Made once: making a format costs a hundred times what using it does, and every card uses these twice a second.
const FULL = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const full = (at) => FULL.format(new Date(at));
const clockTime = (at) => CLOCK.format(new Date(at));

// Time since `since`, as a running clock.
export function Elapsed({ since, until, className }) {
  const time = useServerTime();
  if (!since) return h("span", { className }, "–:––");
  const text = time ? duration((until ? Date.parse(until) : time) - Date.parse(since)) : "0:00";
  return h("time", { className, dateTime: since, title: full(since), role: "timer", "aria-live": "off" }, text);
}

// How long ago, in words that fit a dense row.
export function Ago({ at, prefix, className }) {
  const time = useServerTime();
  if (!at || !time) return null;
  const ms = time - Date.parse(at);
  const text = ms < -5000 ? `in ${age(-ms)}` : prefix ? `${prefix}${age(ms)}` : ms < 5000 ? "now" : `${age(ms)} ago`;
  return h("time", { className, dateTime: at, title: full(at) }, text);
}

export function Moment({ at, className }) {
  const time = useBrowserTime();
  if (!at || !time) return null;
  return h("time", { className, dateTime: at, title: full(at) }, clockTime(at));
}

// The worker's last sign of life. The dot beats once for each heartbeat that arrived, and not by itself.
export function Heartbeat({ at, lease }) {
  const time = useServerTime();
  if (!at || !time) return h("span", { className: "beat faint", "data-state": "pending" }, h("i", { className: "beat-dot" }), "no heartbeat yet");
  const ms = Math.max(0, time - Date.parse(at));
  const share = ms / ((lease || 30) * 1000);
  const state = share > 1 ? "failed" : share > 0.6 ? "warn" : "succeeded";
  const label = share > 1 ? `silent ${age(ms)}` : age(ms);
  return h(
    "span",
    { className: "beat num", "data-state": state, style: { "--fresh": Math.max(0.25, 1 - share).toFixed(2) }, title: `Last heartbeat ${full(at)}; the worker is given ${lease || 30} s` },
    h("i", { className: "beat-dot", key: at }),
    h("span", { className: "visually-hidden" }, "Heartbeat "),
    label,
  );
}

// Shows what it holds once `seconds` have passed since `at`.
export function Later({ at, seconds, children }) {
  const time = useServerTime();
  return at && time && time - Date.parse(at) > seconds * 1000 ? children : null;
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

// A dialog of the browser: it keeps the focus, closes on Escape, and dims what is behind it.
export function Modal({ open, onClose, label, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    const node = dialog.current;
    if (open && !node.open) node.showModal();
    if (!open && node.open) node.close();
  }, [open]);
  const close = (event) => {
    if (event.target === dialog.current) onClose?.();
  };
  return h("dialog", { ref: dialog, className: "modal", "aria-label": label, onClose: close, onMouseDown: close }, open ? children : null);
}

// A button that asks once more before it does what cannot be undone.
export function ConfirmButton({ label, title, body, confirmLabel, cancelLabel = "Keep it", askReason, danger = true, disabled, hint, className, icon, onConfirm, children }) {
  const [open, setOpen] = useState(false);
  const reason = useRef(null);
  const done = (event) => {
    event.preventDefault();
    setOpen(false);
    onConfirm?.(reason.current?.value ?? "");
  };
  return h(
    "span",
    { className: "above", style: { display: "contents" } },
    h("button", { type: "button", className, disabled, title: disabled ? hint : title, "aria-label": label, onClick: () => setOpen(true) }, children),
    h(
      Modal,
      { open, onClose: () => setOpen(false), label: title },
      h(
        "form",
        { onSubmit: done },
        h("h2", { className: "modal-head" }, title),
        h(
          "div",
          { className: "modal-body" },
          h("p", null, body),
          askReason
            ? h("label", { className: "field" }, h("span", { className: "field-label" }, "Reason", h("span", { className: "required" }, "optional")),
                h("input", { className: "input", ref: reason, name: "reason", maxLength: 500, autoFocus: true, autoComplete: "off" }))
            : null,
        ),
        h(
          "div",
          { className: "modal-foot" },
          h("button", { type: "button", className: "btn", onClick: () => setOpen(false) }, cancelLabel),
          h("button", { type: "submit", className: danger ? "btn btn-danger" : "btn btn-primary", autoFocus: !askReason }, confirmLabel),
        ),
      ),
    ),
  );
}
