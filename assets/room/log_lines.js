// The lines of a run's log: server-sent events, drawn once per animation frame, and what terminals mean by their escapes.
import { useEffect, useState } from "react";

export function useLines(src) {
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
    setLines(null);
    setState("connecting");
    const draw = () => {
      frame = 0;
      for (const line of waiting) {
        line.n = all.length + 1;
        all.push(readable(line));
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

const ESCAPE = /\u001b(?:\[([0-9;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
const COLOURS = ["grey", "red", "green", "yellow", "blue", "magenta", "cyan", "plain"];

// A line without escapes in `m`; its coloured pieces, if it has any, in `p` as [text, class]. What a carriage return
// overwrote is left out, as a terminal would.
export function readable(line) {
  let text = line.m;
  if (text.includes("\r")) text = text.replace(/\r+$/, "").split("\r").pop();
  if (!text.includes("\u001b")) {
    line.m = text;
    return line;
  }
  const pieces = [];
  let at = 0;
  let style = { colour: "", bold: false };
  const push = (piece) => piece && pieces.push([piece, `${style.colour && `ansi-${style.colour}`}${style.bold ? " ansi-bold" : ""}`.trim()]);
  for (const found of text.matchAll(ESCAPE)) {
    push(text.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[1] !== undefined) style = styled(style, found[1]);
  }
  push(text.slice(at).replaceAll("\u001b", ""));
  line.p = pieces;
  line.m = pieces.map(([piece]) => piece).join("");
  return line;
}

function styled(before, codes) {
  let { colour, bold } = before;
  const numbers = codes.split(/[;:]/).map(Number);
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i];
    if (n === 0) [colour, bold] = ["", false];
    else if (n === 1) bold = true;
    else if (n === 22) bold = false;
    else if (n === 39) colour = "";
    else if (n === 38 || n === 48) i += numbers[i + 1] === 5 ? 2 : 4; // 256 and true colours have no place in the design
    else if ((n >= 30 && n <= 37) || (n >= 90 && n <= 97)) colour = COLOURS[n % 10];
  }
  return { colour, bold };
}

// The times of a line: of day, since the run's first step began, or in full.
const two = (n) => String(n).padStart(2, "0");
export function timeOf(line, mode, start) {
  if (mode === "elapsed") {
    const ms = Date.parse(line.t) - start;
    if (ms < 0) return "·";
    const s = Math.floor(ms / 1000);
    const hours = Math.floor(s / 3600);
    return hours ? `${hours}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}` : `${two(Math.floor(s / 60))}:${two(s % 60)}.${String(ms % 1000).padStart(3, "0")[0]}`;
  }
  const at = new Date(line.t);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return mode === "full" ? `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}.${String(at.getMilliseconds()).padStart(3, "0")}` : clock;
}
