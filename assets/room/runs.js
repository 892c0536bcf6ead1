// The table of all runs. What is chosen, and where the keyboard is, lives here: it costs no way to the server.
import { createElement as h, useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import { CircleCheck, CircleSlash, CircleX, Clock3, Loader, LoaderCircle, RotateCw, TimerOff, X } from "lucide-react";
import { Ago, Elapsed } from "./clock.js";
import { ConfirmButton } from "./dialog.js";

const ICONS = { queued: Clock3, claimed: Loader, running: LoaderCircle, succeeded: CircleCheck, failed: CircleX, cancelled: CircleSlash, timed_out: TimerOff };
const AT_ONCE = 100;
const COLUMNS = ["Run", "State", "Template", "Session", "Launched by", "Queued", "Took"];
const typing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");

function State({ row }) {
  const Icon = ICONS[row.status] ?? Clock3;
  const spin = row.status === "running" || row.status === "claimed";
  return h("span", { className: "badge", "data-state": row.cancelling ? "cancelling" : row.status, title: row.reason || undefined },
    h(Icon, { size: 13, className: spin ? "spin" : "", "aria-hidden": true }), row.word);
}

const cell = (name, ...children) => h("td", { className: `runs-${name}`, role: "cell" }, ...children);

function Row({ row, chosen, onChoose, mayOperate }) {
  return h(
    "tr",
    { role: "row", "data-run": row.id, "data-state": row.status, "aria-selected": chosen },
    h("td", { className: "runs-choose", role: "cell" },
      h("label", { className: "runs-box" },
        h("input", { type: "checkbox", className: "check", checked: chosen, disabled: !mayOperate, "aria-label": `Choose ${row.title}`,
          onChange: () => {}, onClick: (event) => onChoose(row.id, event.shiftKey) }))),
    cell("title",
      h(Link, { to: row.href, className: "runs-link cut", "data-link": true, title: row.title }, row.title),
      h("span", { className: "runs-tags" },
        h("span", { className: "mono faint" }, row.id.slice(0, 8)),
        row.attempt > 1 ? h("span", { className: "tag" }, `attempt ${row.attempt}`) : null,
        row.dead ? h("span", { className: "tag", "data-state": "failed", title: "All its retries did not save it, and nothing retries it any more" }, "given up") : null,
        row.step ? h("span", { className: "runs-step faint cut" }, row.step) : null)),
    cell("state", h(State, { row })),
    cell("template", h("span", { className: "cut" }, row.template), h("span", { className: "faint num" }, ` ${row.version}`)),
    cell("session", h("span", { className: "runs-lane", title: `Lane ${row.lane}` }, row.lane),
      row.session_href ? h(Link, { to: row.session_href, className: "cut runs-quiet" }, row.session) : h("span", { className: "cut" }, row.session)),
    cell("person", h("span", { className: "cut" }, row.person)),
    cell("queued", h(Ago, { at: row.queued_at, className: "num" })),
    cell("took", row.live && row.started_at ? h(Elapsed, { since: row.started_at, className: "num" }) : h("span", { className: "num" }, row.took || "–")),
  );
}

// Rows of one page. `page` names it: another page starts with nothing chosen.
export function RunsTable({ rows, page, busy, mayOperate, hint, onCancel, onRetry }) {
  const [chosen, setChosen] = useState(new Set());
  const last = useRef(null);
  const body = useRef(null);
  const all = useRef(null);
  const ids = rows.map((row) => row.id);
  useEffect(() => setChosen(new Set()), [page]);
  const here = ids.filter((id) => chosen.has(id));
  useEffect(() => {
    if (all.current) all.current.indeterminate = here.length > 0 && here.length < ids.length;
  });

  const choose = (id, range) => {
    if (!mayOperate) return;
    const next = new Set(chosen);
    const on = !next.has(id);
    const [from, to] = [ids.indexOf(last.current), ids.indexOf(id)].sort((a, b) => a - b);
    for (const each of range && from >= 0 ? ids.slice(from, to + 1) : [id]) on ? next.add(each) : next.delete(each);
    last.current = id;
    setChosen(next);
  };

  useEffect(() => {
    const key = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
      const links = [...(body.current?.querySelectorAll("[data-link]") ?? [])];
      const row = document.activeElement?.closest?.("tr[data-run]");
      const at = row && body.current?.contains(row) ? links.indexOf(row.querySelector("[data-link]")) : -1;
      const move = { j: 1, ArrowDown: at < 0 ? 0 : 1, k: -1, ArrowUp: at < 0 ? 0 : -1 }[event.key];
      if (move && links.length) {
        const to = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + move))];
        to.focus();
        to.closest("tr").scrollIntoView({ block: "nearest" });
      } else if (event.key === "x" && at >= 0) choose(ids[at], false);
      else if (event.key === "Escape" && here.length) setChosen(new Set());
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  });

  const send = (command) => (reason) => {
    command?.(here, reason ?? "");
    setChosen(new Set());
  };
  const many = here.length > AT_ONCE;
  const noun = here.length === 1 ? "run" : "runs";
  const refused = many ? `At most ${AT_ONCE} at once` : hint;
  return h(
    "div",
    { className: "runs", "data-busy": String(busy) },
    h("div", { className: "panel runs-frame" },
      h("table", { className: "runs-table", role: "table", "aria-label": "Runs", "aria-busy": busy },
        h("thead", { role: "rowgroup" },
          h("tr", { role: "row" },
            h("th", { scope: "col", role: "columnheader", className: "runs-choose" },
              h("label", { className: "runs-box" },
                h("input", { type: "checkbox", ref: all, className: "check", disabled: !mayOperate, "aria-label": "Choose all on this page", checked: here.length > 0 && here.length === ids.length,
                  onChange: () => setChosen(new Set(here.length === ids.length ? [] : ids)) }))),
            ...COLUMNS.map((name) => h("th", { key: name, scope: "col", role: "columnheader" }, name)))),
        h("tbody", { ref: body, role: "rowgroup" }, rows.map((row) => h(Row, { key: row.id, row, chosen: chosen.has(row.id), onChoose: choose, mayOperate }))))),
    here.length
      ? h("div", { className: "runs-bar", role: "region", "aria-label": "Chosen runs" },
          h("span", { className: "num", role: "status" }, h("strong", null, here.length), " chosen"),
          h(ConfirmButton, { className: "btn btn-small", label: "Cancel", title: `Cancel ${here.length} ${noun}?`, confirmLabel: "Cancel them", askReason: true, disabled: many, hint: refused,
            body: "Queued runs end at once, live ones when their workers have stopped them. What has ended stays as it is.", onConfirm: send(onCancel) }, h(CircleSlash, { size: 14, "aria-hidden": true }), "Cancel"),
          h(ConfirmButton, { className: "btn btn-small", label: "Retry", title: `Retry ${here.length} ${noun}?`, confirmLabel: "Retry them", danger: false, disabled: many, hint: refused,
            body: "Each that has ended gets its next attempt, with the same params. One that was retried before is not retried again.", onConfirm: send(onRetry) }, h(RotateCw, { size: 14, "aria-hidden": true }), "Retry"),
          h("button", { type: "button", className: "btn btn-ghost btn-small btn-icon", "aria-label": "Choose none", title: "Choose none (Esc)", onClick: () => setChosen(new Set()) }, h(X, { size: 14, "aria-hidden": true })))
      : null,
  );
}

const pad = (n) => String(n).padStart(2, "0");
const asDay = (at) => {
  const date = at ? new Date(at) : null;
  return date && !Number.isNaN(date.getTime()) ? `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}` : "";
};

// A day of the browser's calendar, told to the server as the moment at which it begins, or with `end` at which it is over.
export function Day({ label, value, end, onPick }) {
  const shown = asDay(value && end ? new Date(Date.parse(value) - 1) : value);
  const pick = (event) => {
    const [year, month, day] = event.target.value.split("-").map(Number);
    onPick?.(year > 1969 ? new Date(year, month - 1, day + (end ? 1 : 0)).toISOString() : "");
  };
  return h("input", { type: "date", className: "input runs-day", "aria-label": label, title: label, key: shown, defaultValue: shown, onChange: pick });
}
