// What is selected on a run's page: a step and a line of the log. It stands in the address, so that a link shows the same.
import { useState, useSyncExternalStore } from "react";

const listeners = new Set();
let current = null;

function read() {
  if (current?.path === window.location.pathname) return current;
  const line = /^#L(\d+)$/.exec(window.location.hash);
  current = { path: window.location.pathname, step: new URLSearchParams(window.location.search).get("step") ?? "", line: line ? Number(line[1]) : 0 };
  return current;
}

function subscribe(listener) {
  const moved = () => {
    current = null;
    for (const each of listeners) each();
  };
  listeners.add(listener);
  window.addEventListener("hashchange", moved);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("hashchange", moved);
  };
}

// Replaces the address without going anywhere: `params` are set or, when empty, removed.
export function address(params, line) {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(params)) value ? url.searchParams.set(name, value) : url.searchParams.delete(name);
  if (line !== undefined) url.hash = line ? `L${line}` : "";
  return url;
}

export function select(change) {
  current = { ...read(), ...change };
  const url = address({ step: current.step }, current.line);
  if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
  for (const listener of listeners) listener();
}

// The selection of the page, or one of this part's own where it is not `linked` to the address.
export function useSelection(linked) {
  const shared = useSyncExternalStore(subscribe, read);
  const [own, setOwn] = useState({ step: "", line: 0 });
  return linked ? [shared, select] : [own, (change) => setOwn((now) => ({ ...now, ...change }))];
}

// Whether a key belongs to what has the focus, and is no shortcut of the page.
export function isTyping(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return true;
  return event.target.closest?.("input, textarea, select, [contenteditable]") != null;
}

// Reads and keeps a small setting of this browser.
export function useKept(name, start) {
  const [value, setValue] = useState(() => {
    try {
      return { ...start, ...JSON.parse(window.localStorage.getItem(name) ?? "{}") };
    } catch {
      return start;
    }
  });
  const keep = (change) => {
    const next = { ...value, ...change };
    setValue(next);
    try {
      window.localStorage.setItem(name, JSON.stringify(next));
    } catch {
      // a browser that keeps nothing still shows it
    }
  };
  return [value, keep];
}
