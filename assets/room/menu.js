// A small menu under a button: arrow keys, Escape, and closing by leaving it.
import { createElement as h, useEffect, useLayoutEffect, useRef, useState } from "react";

const FOOT_PX = 64; // as high as the navigation at the foot of a small screen

export function Menu({ label, className = "btn btn-ghost btn-small btn-icon", disabled, hint, children, icon }) {
  const [open, setOpen] = useState(false);
  const root = useRef(null);
  const button = useRef(null);
  const items = () => [...root.current.querySelectorAll(".menu-list button:not(:disabled)")];
  const list = useRef(null);
  useLayoutEffect(() => {
    if (!open) return;
    const { bottom, height } = list.current.getBoundingClientRect();
    const above = root.current.getBoundingClientRect().top;
    if (bottom > window.innerHeight - FOOT_PX && above - height > FOOT_PX) list.current.dataset.up = "true";
  }, [open]);
  useEffect(() => {
    if (!open) return undefined;
    items()[0]?.focus();
    const away = (event) => root.current?.contains(event.target) || setOpen(false);
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [open]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const keys = (event) => {
    if (!open) return;
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const all = items();
      const at = all.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      all[(at + all.length) % all.length]?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const left = (event) => event.relatedTarget && !root.current.contains(event.relatedTarget) && setOpen(false);
  return h(
    "span",
    { className: "menu-root above", ref: root, onKeyDown: keys, onBlur: left },
    h("button", { type: "button", ref: button, className, disabled, title: disabled ? hint : label, "aria-label": label, "aria-haspopup": "menu",
      "aria-expanded": open, onClick: () => setOpen(!open) }, icon),
    open ? h("div", { ref: list, className: "menu menu-list", role: "menu", "aria-label": label }, typeof children === "function" ? children(close) : children) : null,
  );
}

export const item = (text, act, { disabled = false, keys = "" } = {}) =>
  h("button", { key: text, type: "button", role: "menuitem", className: "menu-item", disabled, onClick: act }, h("span", null, text),
    keys ? h("kbd", { className: "kbd" }, keys) : null);

const svg = (...paths) => h("svg", { width: 15, height: 15, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round",
  strokeLinejoin: "round", "aria-hidden": true }, ...paths.map((d, i) => h("path", { key: i, d })));

export const icons = {
  more: svg("M5 12h.01", "M12 12h.01", "M19 12h.01"),
  stop: h("svg", { width: 11, height: 11, viewBox: "0 0 24 24", fill: "currentColor", "aria-hidden": true }, h("rect", { x: 3, y: 3, width: 18, height: 18, rx: 2 })),
  minus: svg("M5 12h14"),
  plus: svg("M5 12h14", "M12 5v14"),
};
