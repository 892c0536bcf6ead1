// The runs that wait in a lane: dragged, or moved by keyboard and menu. A move shows at once, marked as pending; the database decides the
// order, and once its picture of the lane is there the mark goes.
import { createElement as h, memo, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Ago } from "./clock.js";
import { ConfirmButton } from "./dialog.js";
import { CardLink } from "./cards.js";
import { Menu, icons, item } from "./menu.js";

const LANES = ["A", "B", "C", "D"];
const FORGOTTEN_MS = 8000; // a move whose answer was lost is not shown for longer than this, once there is a newer picture

const moves = new Map(); // run id -> { lane, before, run, at, asked: how many answers are awaited }
const watchers = new Set();
let version = 0;
let dragged = null; // { run, lane }
let focusNext = null; // the run that was moved by keyboard keeps the focus, wherever it went

function changed() {
  version += 1;
  for (const watcher of watchers) watcher();
}

function subscribe(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

const useMoves = () => useSyncExternalStore(subscribe, () => version, () => 0);

// The server has answered a move, and has sent the picture that follows from it.
export function settle(id) {
  const move = moves.get(id);
  if (!move) return;
  move.asked -= 1; // who moves a run twice in a row is shown the second place until its own answer
  if (move.asked > 0) return;
  moves.delete(id);
  changed();
}

export function forget() {
  const long = [...moves].filter(([, move]) => Date.now() - move.at > FORGOTTEN_MS);
  for (const [id] of long) moves.delete(id);
  if (long.length) changed();
}

if (typeof window !== "undefined") window.opsroomSettle = settle;

function drag(run, lane) {
  dragged = run ? { run, lane } : null;
  changed();
}

// The queue as it will be when all pending moves are done.
function expected(runs, lane) {
  const list = runs.filter((run) => !moves.has(run.id));
  for (const move of moves.values()) {
    if (move.lane !== lane) continue;
    const at = move.before ? list.findIndex((run) => run.id === move.before) : -1;
    list.splice(at < 0 ? list.length : at, 0, move.run);
  }
  return list;
}

const Row = memo(
  function Row({ run, lane, before, after, last, pending, dropping, allowed, selected, act }) {
    const link = useRef(null);
    useEffect(() => {
      if (focusNext !== run.id) return;
      focusNext = null;
      link.current?.focus();
    });
    const place = (target, next) => act.place(run, target, next);
    const byKey = {
      ArrowUp: before !== undefined && (() => place(lane, before)),
      ArrowDown: !last && (() => place(lane, after)),
      ArrowLeft: lane !== "A" && (() => place(LANES[LANES.indexOf(lane) - 1], null)),
      ArrowRight: lane !== "D" && (() => place(LANES[LANES.indexOf(lane) + 1], null)),
    };
    const keys = (event) => {
      if (!event.altKey || !allowed || !(event.key in byKey)) return;
      event.preventDefault();
      if (byKey[event.key]) {
        focusNext = run.id;
        byKey[event.key]();
      }
    };
    const menu = (close) => {
      const go = (target, next) => () => {
        close();
        focusNext = run.id;
        place(target, next);
      };
      return [
        item("Up", go(lane, before), { disabled: before === undefined, keys: "Alt ↑" }),
        item("Down", go(lane, after), { disabled: last, keys: "Alt ↓" }),
        item("To the front", go(lane, act.first()), { disabled: before === undefined }),
        item("To the end", go(lane, null), { disabled: last }),
        ...LANES.filter((letter) => letter !== lane).map((letter) => item(`To lane ${letter}`, go(letter, null))),
      ];
    };
    const why = "Your role may look, not act.";
    return h(
      "li",
      { className: "queue-row", "data-run": run.id, "data-state": "queued", "data-pending": pending || undefined, "data-drop": dropping || undefined,
        "data-selected": selected || undefined, draggable: allowed,
        onDragStart: (event) => {
          event.dataTransfer.effectAllowed = "move";
          event.dataTransfer.setData("text/plain", run.title);
          drag(run, lane);
        },
        onDragEnd: () => drag(null) },
      h(
        CardLink,
        { run: run.id, className: "run-row", onOpen: act.open, selected, innerRef: link, onKeyDown: keys,
          "aria-keyshortcuts": allowed ? "Alt+ArrowUp Alt+ArrowDown Alt+ArrowLeft Alt+ArrowRight" : undefined },
        h("span", { className: "queue-place", "aria-hidden": true }),
        h("span", { className: "run-row-title cut", title: run.title }, run.title),
        h("span", null),
        h(
          "span",
          { className: "run-row-meta" },
          pending ? h("span", { className: "pending-word", role: "status" }, "Moving…") : h("span", { className: "cut" }, run.template),
          pending ? null : run.not_before ? h(Ago, { at: run.not_before, prefix: "since " }) : h(Ago, { at: run.queued_at, prefix: "waits " }),
          run.attempt > 1 ? h("span", { className: "tag num" }, `attempt ${run.attempt}`) : null,
          run.gated ? h("span", { className: "tag", "data-state": "warn" }, "needs approval") : null,
          run.priority ? h("span", { className: "tag num", title: `Priority ${run.priority}` }, run.priority > 0 ? `+${run.priority}` : run.priority) : null,
        ),
      ),
      h(
        "span",
        { className: "row-actions" },
        h(Menu, { label: `Move ${run.title}`, disabled: !allowed || pending, hint: why, icon: icons.more }, menu),
        h(ConfirmButton, { className: "btn btn-ghost btn-small btn-icon", label: `Cancel ${run.title}`, title: "Cancel this run?", confirmLabel: "Cancel the run",
          body: `“${run.title}” has not started. It will be taken off the queue.`, askReason: true, disabled: !allowed, hint: why,
          onConfirm: (reason) => act.cancel(run.id, reason) }, icons.stop),
      ),
    );
  },
  // The actions are the same whatever their identity, so only what is shown decides.
  (a, b) => ["run", "lane", "before", "after", "last", "pending", "dropping", "allowed", "selected"].every((name) => a[name] === b[name]),
);

export function Queue({ runs, lane, queued, unshown, allowed, selected, onPlace, onOpen, onCancel }) {
  useMoves();
  const node = useRef(null);
  const latest = useRef({});
  const [drop, setDrop] = useState(undefined); // undefined: nothing is over this lane; null: its end; else the run to go before
  const list = expected(runs ?? [], lane);

  const place = (run, target, before) => {
    moves.set(run.id, { lane: target, before: before ?? null, run, at: Date.now(), asked: (moves.get(run.id)?.asked ?? 0) + 1 });
    changed();
    onPlace(run.id, target, before ?? "");
  };
  latest.current = { list, place, allowed };
  const act = { place, open: onOpen, cancel: onCancel, first: () => latest.current.list[0]?.id ?? null };

  useEffect(() => {
    const section = node.current.closest(".lane");
    const target = (event) => {
      const rows = [...node.current.querySelectorAll(".queue-row")].filter((row) => row.dataset.run !== dragged.run.id);
      const below = rows.find((row) => {
        const box = row.getBoundingClientRect();
        return event.clientY < box.top + box.height / 2;
      });
      return below ? below.dataset.run : null;
    };
    const over = (event) => {
      if (!dragged || !latest.current.allowed) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "move";
      setDrop(target(event));
    };
    const leave = (event) => section.contains(event.relatedTarget) || setDrop(undefined);
    const dropped = (event) => {
      setDrop(undefined);
      if (!dragged || !latest.current.allowed) return;
      event.preventDefault();
      const before = target(event);
      const { run, lane: from } = dragged;
      const at = latest.current.list.findIndex((other) => other.id === run.id);
      const stays = from === lane && (latest.current.list[at + 1]?.id ?? null) === before;
      drag(null);
      if (!stays) latest.current.place(run, lane, before);
    };
    const listeners = { dragover: over, dragleave: leave, drop: dropped };
    for (const [name, listener] of Object.entries(listeners)) section.addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) section.removeEventListener(name, listener);
    };
  }, [lane]);

  const pending = [...moves.values()].filter((move) => move.lane === lane && !runs?.some((run) => run.id === move.run.id)).length;
  const left = (runs ?? []).filter((run) => moves.has(run.id) && moves.get(run.id).lane !== lane).length;
  const shown = list.length > 0 || (dragged && drop !== undefined);
  return h(
    "div",
    { className: "queue", ref: node, "data-drop-end": drop === null || undefined },
    shown ? h("div", { className: "lane-section" }, h("span", { className: "eyebrow" }, "Next"), h("span", { className: "faint num" }, queued + pending - left)) : null,
    h(
      "ol",
      { className: "queue-list", "aria-label": `Queue of lane ${lane}` },
      list.map((run, at) =>
        h(Row, { key: run.id, run, lane, act, allowed, before: list[at - 1]?.id, after: list[at + 2]?.id ?? null, last: at === list.length - 1,
          pending: moves.has(run.id), dropping: drop === run.id, selected: selected === run.id }),
      ),
    ),
    drop === null && !list.length ? h("div", { className: "drop-here" }, "Queue it here") : null,
    unshown > 0 ? h("div", { className: "faint more-queued" }, `and ${unshown} more`) : null,
  );
}
