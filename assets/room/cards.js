// Cards of runs in the browser: the link that opens a run beside the board, and the note that its result was looked at.
import { createElement as h, memo, useEffect } from "react";

// A link to a run's page that opens the run beside the board; with a modifier key, or in another tab, it is the link that it is.
export function CardLink({ run, className, onOpen, selected, innerRef, onKeyDown, children, ...rest }) {
  const click = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button) return;
    event.preventDefault();
    onOpen(run);
  };
  const keys = (event) => {
    onKeyDown?.(event);
    if (event.key !== " " || event.defaultPrevented) return;
    event.preventDefault();
    onOpen(run);
  };
  return h("a", { ...rest, ref: innerRef, href: `/runs/${run}`, className: `card-open ${className ?? ""}`, draggable: false, "aria-current": selected ? "true" : undefined,
    onClick: click, onKeyDown: keys }, children);
}

function same(a, b) {
  if (a === b || (typeof a === "function" && typeof b === "function")) return true; // actions are the same whatever their identity
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => same(a[name], b[name]));
}

export const Still = memo(({ children }) => children, (a, b) => a.children.type === b.children.type && same(a.children.props, b.children.props));

// Tells that the person has looked at a result: once it is on a screen that is shown, and not in a tab behind others.
export function SeenMark({ run, due, onSeen }) {
  useEffect(() => {
    if (!due) return undefined;
    const look = () => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", look);
      onSeen(run);
    };
    document.addEventListener("visibilitychange", look);
    look();
    return () => document.removeEventListener("visibilitychange", look);
  }, [run, due]);
  return null;
}
