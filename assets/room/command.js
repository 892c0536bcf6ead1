// The command bar: one line to go anywhere and to do what matters, by keyboard only. It asks the server what to offer; nothing
// is launched, cancelled or retried but by choosing an answer that says so.
import { createElement as h, useEffect, useId, useRef, useState } from "react";
import { useLocation, useNavigate } from "react-router";
import { toast } from "sonner";

const WAIT_MS = 120;
const RECENT = 6;
const PATHS = {
  play: "M6 4v16l13-8Z", x: "M18 6 6 18M6 6l12 12", again: "M3 12a9 9 0 1 0 3-6.7L3 8M3 3v5h5", pen: "M12 20h9M16.5 3.5a2.1 2.1 0 0 1 3 3L7 19l-4 1 1-4Z",
  page: "M4 4h7v7H4ZM13 4h7v7h-7ZM4 13h7v7H4ZM13 13h7v7h-7Z", session: "M3 6h18M3 12h18M3 18h12", run: "M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12Z", words: "M4 6h16M4 12h10M4 18h7",
  back: "M19 12H5M12 19l-7-7 7-7", search: "m21 21-4.3-4.3M11 19a8 8 0 1 0 0-16 8 8 0 0 0 0 16Z",
};
const icon = (name, size = 15) =>
  h("svg", { width: size, height: size, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round", strokeLinejoin: "round", "aria-hidden": true }, h("path", { d: PATHS[name] ?? PATHS.page }));

const stored = (key, otherwise) => {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
};
const keep = (key, value) => {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing has no recent items.
  }
};

function useOffers(open, text, location) {
  const [offers, setOffers] = useState({ items: [], who: "", text: null, problem: "" });
  useEffect(() => {
    if (!open) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      const run = new URLSearchParams(location.search).get("run") ?? "";
      const query = new URLSearchParams({ q: text, path: location.pathname, run, session: stored("opsroom.session", "") });
      try {
        const answer = await fetch(`/api/command?${query}`, { signal: stop.signal, headers: { accept: "application/json" } });
        const body = await answer.json();
        if (answer.status === 401) window.location.assign("/sign-in?reason=signed_out");
        setOffers(answer.ok ? { ...body, text, problem: "" } : { items: [], who: "", text, problem: `${body.message} ${body.hint}` });
      } catch (error) {
        if (error.name !== "AbortError") setOffers({ items: [], who: "", text, problem: "The room's server does not answer. It is tried again as you type." });
      }
    }, text ? WAIT_MS : 0);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [open, text, location.pathname, location.search]);
  return offers;
}

function Option({ item, id, active, onPick, onPoint }) {
  const line = useRef(null);
  useEffect(() => {
    if (active) line.current?.scrollIntoView({ block: "nearest" });
  }, [active]);
  return h(
    "div",
    { ref: line, id, role: "option", "aria-selected": active, className: "offer", "data-state": item.state, onClick: onPick, onMouseMove: onPoint },
    icon(item.icon),
    h("span", { className: "offer-title cut" }, item.title),
    item.detail ? h("span", { className: "offer-detail cut" }, item.detail) : null,
    active ? h("kbd", { className: "kbd", "aria-hidden": true }, "↵") : null,
    item.problems?.length ? h("span", { className: "offer-problem" }, item.problems.join(" · ")) : null,
  );
}

function Bar({ onClose }) {
  const [text, setText] = useState("");
  const [asked, setAsked] = useState(null); // the question that is to be confirmed, with its key
  const [place, setPlace] = useState(0);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const early = useRef(false);
  const here = useRef(true);
  useEffect(() => () => void (here.current = false), []);
  const location = useLocation();
  const navigate = useNavigate();
  const offers = useOffers(true, text, location);
  const list = useId();
  const input = useRef(null);
  const recent = offers.who && !text ? stored(`opsroom.recent.${offers.who}`, []).map((item) => ({ ...item, group: "Recent" })) : [];
  const items = asked ? asked.answers : [...recent, ...offers.items.filter((item) => !recent.some((other) => other.href === item.href && item.group !== "The selected run"))];
  const at = Math.min(place, Math.max(0, items.length - 1));
  useEffect(() => input.current?.focus(), [asked]);

  const go = (item) => {
    if (offers.who && item.icon !== "play") {
      const past = stored(`opsroom.recent.${offers.who}`, []).filter((other) => other.href !== item.href);
      if (["Pages", "Sessions", "Runs", "Recent"].includes(item.group)) keep(`opsroom.recent.${offers.who}`, [{ ...item, id: `recent-${item.href}`, problems: [] }, ...past].slice(0, RECENT));
    }
    onClose();
    navigate(item.href);
  };
  const send = async (item) => {
    setBusy(true);
    setProblem("");
    try {
      const answer = await fetch("/api/command", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ ...item.body, key: `${asked.key}:${item.id}` }) });
      const body = await answer.json();
      if (!answer.ok) throw new Error(`${body.message} ${body.hint}`);
      toast.success(body.said, { description: body.detail });
      if (!here.current) return; // it was closed meanwhile
      onClose();
      if (body.href) navigate(body.href);
    } catch (error) {
      setProblem(error instanceof TypeError ? "The room's server does not answer. Asking again does nothing twice." : error.message);
      setBusy(false);
    }
  };
  const pick = (item) => {
    if (!item || busy) return;
    if (item.body) send(item);
    else if (item.confirm) setAsked({ ...item.confirm, key: crypto.randomUUID?.() ?? String(Math.random()) });
    else if (item.href) go(item);
    else setAsked(null);
  };
  useEffect(() => {
    setPlace(0);
    // Enter was pressed before the offers for what was typed were there. It goes somewhere or asks, and never does more.
    if (early.current && offers.text === text) pick(items[0]);
    early.current = false;
  }, [offers.text, asked]);
  const keys = (event) => {
    if (event.key !== "Enter") early.current = false;
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move && items.length) setPlace((at + move + items.length) % items.length);
    else if (event.key === "PageDown" || event.key === "PageUp") setPlace(event.key === "PageDown" ? items.length - 1 : 0);
    else if (event.key === "Enter" && !event.nativeEvent.isComposing) asked || offers.text === text ? pick(items[at]) : (early.current = true);
    else if (event.key === "Escape" && asked) setAsked(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const groups = [];
  for (const [index, item] of items.entries()) {
    const name = asked ? asked.question : item.group;
    if (groups.at(-1)?.name !== name) groups.push({ name, options: [] });
    groups.at(-1).options.push(h(Option, { key: `${item.group}-${item.id}`, item, id: `${list}-${index}`, active: index === at, onPick: () => pick(item), onPoint: () => place !== index && setPlace(index) }));
  }
  const waiting = !asked && offers.text !== text;
  const word = offers.problem && !asked ? offers.problem : waiting || items.length ? "" : "Nothing of that name. Try a page, a template, a title, or the first digits of a run's id.";
  return h(
    "div",
    { className: "command", onKeyDown: keys },
    h(
      "div",
      { className: "command-line" },
      icon(asked ? "back" : "search", 17),
      h("input", {
        ref: input, type: "text", role: "combobox", "aria-expanded": items.length > 0, "aria-controls": list, "aria-autocomplete": "list", "aria-label": "Command",
        "aria-activedescendant": items.length ? `${list}-${at}` : undefined, value: asked ? "" : text, readOnly: Boolean(asked), autoFocus: true, autoComplete: "off", spellCheck: false,
        placeholder: asked ? "Choose with the arrows, confirm with Enter" : "Go to, launch, or say what to do…", maxLength: 200, onChange: (event) => setText(event.target.value),
      }),
      busy || waiting ? h("i", { className: "command-busy spin", "aria-hidden": true }) : null,
    ),
    problem ? h("div", { className: "command-problem", role: "alert" }, problem) : null,
    h("div", { id: list, role: "listbox", "aria-label": asked ? asked.question : "Offers", className: "command-list" },
      groups.map((group) => h("div", { key: group.name, role: "group", "aria-label": group.name }, h("div", { className: asked ? "command-question" : "eyebrow", "aria-hidden": true }, group.name), group.options)),
    ),
    word ? h("p", { className: "command-word", role: "status" }, word) : null,
    h("div", { className: "command-foot", "aria-hidden": true }, h("span", null, h("kbd", { className: "kbd" }, "↑↓"), " choose"), h("span", null, h("kbd", { className: "kbd" }, "↵"), asked ? " confirm" : " go"),
      h("span", null, h("kbd", { className: "kbd" }, "esc"), asked ? " back" : " close"), h("span", { className: "command-hint" }, "template name=value launches")),
  );
}

// The button in the top bar. The bar itself stands beside the pages: it outlives a change of page.
export function CommandButton() {
  const mac = typeof navigator !== "undefined" && /mac/i.test(navigator.platform ?? "");
  return h("button", { type: "button", className: "command-open", "aria-haspopup": "dialog", "aria-keyshortcuts": "Control+K Meta+K", title: "Command bar", onClick: () => window.dispatchEvent(new Event("opsroom:command")) },
    icon("search", 14), h("span", { className: "command-open-word" }, "Search or command…"), h("kbd", { className: "kbd", "aria-hidden": true }, mac ? "⌘ K" : "Ctrl K"));
}

export function CommandBar() {
  const [open, setOpen] = useState(false);
  const dialog = useRef(null);
  const own = useRef(false);
  const location = useLocation();
  useEffect(() => {
    const session = location.pathname.match(/^\/sessions\/([0-9a-f-]{36})/i)?.[1];
    if (session) keep("opsroom.session", session);
  }, [location.pathname]);
  useEffect(() => {
    const toggle = () => window.location.pathname !== "/sign-in" && setOpen((was) => !was);
    const keys = (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      toggle();
    };
    window.addEventListener("keydown", keys);
    window.addEventListener("opsroom:command", toggle);
    return () => {
      window.removeEventListener("keydown", keys);
      window.removeEventListener("opsroom:command", toggle);
    };
  }, []);
  useEffect(() => {
    if (open && !dialog.current.open) dialog.current.showModal();
    if (!open && dialog.current.open) {
      own.current = true;
      dialog.current.close();
    }
  }, [open]);
  const close = () => setOpen(false);
  const cancel = (event) => {
    event.preventDefault();
    close();
  };
  // The browser tells of a close later, when the bar may have been opened anew already.
  const closed = () => (own.current ? (own.current = false) : close());
  return h("dialog", { ref: dialog, className: "modal command-dialog", "aria-label": "Command bar", onClose: closed, onCancel: cancel, onMouseDown: (event) => event.target === dialog.current && close() }, open ? h(Bar, { onClose: close }) : null);
}
