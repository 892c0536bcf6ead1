// A text of any size, read by ranges as one scrolls: a page at a time from its beginning, or its last page.
import { createElement as h, useCallback, useEffect, useRef, useState } from "react";
import { List } from "./artifact_list.js";

const PAGE = 256 * 1024;
const LONGEST = 4000;

async function part(src, first, last) {
  const answer = await fetch(src, { headers: { Range: `bytes=${first}-${last}` } });
  if (answer.status === 416) return new Uint8Array();
  if (!answer.ok) throw new Error(answer.status === 404 ? "The store does not have the bytes." : `The room answered ${answer.status}.`);
  const data = new Uint8Array(await answer.arrayBuffer());
  return answer.status === 200 ? data.subarray(first, last + 1) : data; // a store that knows no parts sends all
}

// Very long lines are folded into rows that a list can measure.
function rowsOf(lines) {
  const rows = [];
  for (const line of lines) {
    for (let at = 0; at === 0 || at < line.length; at += LONGEST) rows.push(line.slice(at, at + LONGEST));
  }
  return rows;
}

export function TextPages({ view, src }) {
  const size = view.size ?? 0;
  const [end, setEnd] = useState(false);
  const [text, setText] = useState({ rows: null, read: 0, binary: false, problem: "" });
  const held = useRef({ at: 0, rest: "", decoder: null, busy: false, turn: 0 });

  const more = useCallback(async () => {
    const now = held.current;
    if (now.busy || now.at >= size) return;
    now.busy = true;
    const turn = now.turn;
    try {
      const data = await part(src, now.at, Math.min(size, now.at + PAGE) - 1);
      if (turn !== held.current.turn) return;
      now.at += data.length || size;
      const binary = data.subarray(0, 8000).includes(0);
      const done = now.at >= size;
      const lines = (now.rest + now.decoder.decode(data, { stream: !done })).split(/\r?\n/);
      now.rest = done ? "" : lines.pop();
      if (done && lines.at(-1) === "") lines.pop();
      setText((before) => ({ rows: [...(before.rows ?? []), ...rowsOf(lines)], read: Math.min(now.at, size), binary: before.binary || binary, problem: "" }));
    } catch (error) {
      if (turn === held.current.turn) setText((before) => ({ ...before, problem: error.message }));
    } finally {
      now.busy = false;
    }
  }, [src, size]);

  useEffect(() => {
    held.current = { at: end ? Math.max(0, size - PAGE) : 0, rest: "", decoder: new TextDecoder(), busy: false, turn: held.current.turn + 1 };
    setText({ rows: size ? null : [], read: 0, binary: false, problem: "" });
    more();
  }, [src, size, end, more]);

  if (text.problem && !text.rows) return h("p", { className: "artifact-wait", role: "alert" }, text.problem);
  if (!text.rows) return h("div", { className: "artifact-wait" }, [60, 44, 70].map((w) => h("div", { key: w, className: "skeleton", style: { width: `${w}%`, height: 13 } })));
  if (!size) return h("p", { className: "artifact-wait faint" }, "This file is empty.");
  if (text.binary) return h("p", { className: "artifact-wait faint" }, "This is not text. Download it to open it.");
  const whole = text.read >= size && !end;
  const first = !end || size <= PAGE;
  return h(
    "div",
    null,
    size > PAGE ? h("div", { className: "artifact-bar" },
      h("span", { className: "grow num", role: "status" }, text.problem || (end ? "The last 256 kB" : whole ? "All of it is read" : `Read so far: ${Math.round((text.read / size) * 100)} %. More comes as you scroll.`)),
      h("div", { className: "segments", role: "group", "aria-label": "Part" },
        h("button", { type: "button", className: "segment", "aria-pressed": !end, onClick: () => setEnd(false) }, "From the beginning"),
        h("button", { type: "button", className: "segment", "aria-pressed": end, onClick: () => setEnd(true) }, "The end"))) : null,
    h(List, {
      key: end, rows: text.rows, endReached: end ? undefined : more,
      initialTopMostItemIndex: end ? { index: "LAST", align: "end" } : 0,
      itemContent: (i, row) => h("div", { className: "text-line" }, h("span", null, first ? i + 1 : ""), h("code", null, row || " ")),
    }),
  );
}
