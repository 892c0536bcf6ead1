// What the board does in the browser: keys, the open run in the address, a lane's settings.
import { createElement as h, useEffect, useRef, useState } from "react";
import { useLocation } from "react-router";
import { Modal } from "./dialog.js";
import { Menu, icons, item } from "./menu.js";
import { forget } from "./queue.js";

// How many runs of a lane go at once, and whether its queue is held back. What was asked for shows as pending until the database says so.
export function LaneMenu({ lane, paused, capacity, allowed, onPause, onCapacity }) {
  const [wanted, setWanted] = useState(null);
  useEffect(() => setWanted(null), [capacity]);
  const size = wanted ?? capacity;
  const set = (count) => {
    setWanted(count);
    onCapacity(lane, count);
  };
  return h(Menu, { label: `Settings of lane ${lane}`, disabled: !allowed, hint: "Your role may look, not act.", icon: icons.more }, (close) => [
    item(paused ? `Resume lane ${lane}` : `Pause lane ${lane}`, () => {
      close();
      onPause(lane, !paused);
    }),
    h(
      "div",
      { key: "size", className: "menu-row" },
      h("span", null, "Runs at once"),
      h("span", { className: "stepper", "data-pending": wanted !== null && wanted !== capacity ? true : undefined },
        h("button", { type: "button", className: "btn btn-small btn-icon", "aria-label": "Fewer at once", disabled: size <= 1, onClick: () => set(size - 1) }, icons.minus),
        h("output", { className: "num", "aria-live": "polite" }, size),
        h("button", { type: "button", className: "btn btn-small btn-icon", "aria-label": "More at once", disabled: size >= 100, onClick: () => set(size + 1) }, icons.plus)),
    ),
  ]);
}

const SHEET = [
  ["Move between cards", ["j", "k"]],
  ["Move between lanes", ["h", "l"]],
  ["Look into the run beside the board", ["Enter"]],
  ["Close what is open", ["Esc"]],
  ["Open the run's page", ["o"]],
  ["Move a waiting run in its lane", ["Alt ↑", "Alt ↓"]],
  ["Move a waiting run to another lane", ["Alt ←", "Alt →"]],
  ["Cancel the run", ["x"]],
  ["Retry the run", ["r"]],
  ["Previous and next session", ["[", "]"]],
  ["Search sessions", ["/"]],
  ["New session", ["n"]],
  ["This sheet", ["?"]],
];

const cards = (root = document) => [...root.querySelectorAll(".card-open")].filter((card) => card.offsetParent);
const busy = () => document.querySelector("dialog[open], .menu-list, .menu:popover-open");
const typing = (node) => node?.closest?.("input, textarea, select, [contenteditable=true]");

function step(by) {
  const all = cards();
  const at = all.indexOf(document.activeElement?.closest?.("[data-run]")?.querySelector(".card-open") ?? document.activeElement);
  return all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)];
}

function sideways(by) {
  const here = document.activeElement?.closest?.(".lane");
  const lanes = [...document.querySelectorAll(".lane")];
  if (!here) return cards()[0];
  const at = cards(here).indexOf(document.activeElement);
  for (let i = lanes.indexOf(here) + by; i >= 0 && i < lanes.length; i += by) {
    const there = cards(lanes[i]);
    if (there.length) return there[Math.min(at, there.length - 1)];
  }
  return undefined;
}

const press = (selector) => document.activeElement?.closest?.("[data-run]")?.querySelector(selector)?.click();

function session(by) {
  const all = [...document.querySelectorAll("#sidebar a.session")];
  all[all.findIndex((link) => link.getAttribute("aria-current") === "page") + by]?.click();
}

// The board's keys, and the open run in the address. `asOf`: the time of the newest picture.
export function BoardKeys({ peek, asOf, onOpen, onClose }) {
  const [sheet, setSheet] = useState(false);
  const state = useRef({});
  const timer = useRef(0);
  const before = useRef(null);
  state.current = { peek, onOpen, onClose, sheet };

  useEffect(forget, [asOf]);

  const { key } = useLocation();
  useEffect(() => () => state.current.onClose(), [key]); // who leaves the board, or comes to it anew, closes what is beside it

  useEffect(() => {
    const first = before.current === null;
    const from = before.current;
    before.current = peek;
    if (first && !peek) return; // the address may name a run that is not open yet
    const url = new URL(window.location.href);
    if (peek) url.searchParams.set("run", peek);
    else if (from && url.searchParams.get("run") === from) url.searchParams.delete("run");
    const card = peek && document.querySelector(`.lanes [data-run="${CSS.escape(peek)}"]`);
    if (card) requestAnimationFrame(() => card.scrollIntoView({ block: "nearest" })); // the lanes make room for the panel first
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
  }, [peek]);

  useEffect(() => {
    const look = (card) => {
      if (!card) return;
      card.focus();
      card.closest("[data-run]").scrollIntoView({ block: "nearest" });
      if (!state.current.peek) return;
      clearTimeout(timer.current); // who walks fast wants the last one
      const run = card.closest("[data-run]").dataset.run;
      timer.current = setTimeout(() => run !== state.current.peek && state.current.onOpen(run), 120);
    };
    const handlers = {
      j: () => look(step(1)),
      k: () => look(step(-1)),
      l: () => look(sideways(1)),
      h: () => look(sideways(-1)),
      o: () => {
        const run = document.activeElement?.closest?.("[data-run]")?.dataset.run || state.current.peek;
        if (run) window.location.assign(`/runs/${run}`);
      },
      x: () => press("[data-key=cancel], [aria-label^='Cancel ']"),
      r: () => press("[data-key=retry]"),
      "[": () => session(-1),
      "]": () => session(1),
      "/": () => document.querySelector("#sidebar input[type=search]")?.focus(),
      n: () => document.querySelector("[data-key=new-session]")?.click(),
      "?": () => setSheet(true),
    };
    const keys = (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && state.current.peek && !busy() && !typing(event.target)) {
        event.preventDefault();
        const open = state.current.peek;
        state.current.onClose();
        document.querySelector(`.lanes [data-run="${CSS.escape(open)}"] .card-open`)?.focus();
        return;
      }
      const handler = handlers[event.key];
      if (!handler || busy() || typing(event.target)) return;
      event.preventDefault();
      handler();
    };
    document.addEventListener("keydown", keys);
    return () => {
      clearTimeout(timer.current);
      document.removeEventListener("keydown", keys);
    };
  }, []);

  const close = () => setSheet(false);
  return [
    h("button", { key: "open", type: "button", className: "btn btn-ghost btn-small btn-icon keys-button", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)",
      onClick: () => setSheet(true) }, "?"),
    h(
      Modal,
      { key: "sheet", open: sheet, onClose: close, label: "Keyboard shortcuts" },
      h("h2", { className: "modal-head" }, "Keyboard shortcuts"),
      h("dl", { className: "modal-body sheet" }, SHEET.flatMap(([what, keys]) => [
        h("dt", { key: what }, what),
        h("dd", { key: `${what} keys` }, keys.map((key) => h("kbd", { key, className: "kbd" }, key))),
      ])),
      h("div", { className: "modal-foot" }, h("button", { type: "button", className: "btn", autoFocus: true, onClick: close }, "Close")),
    ),
  ];
}
