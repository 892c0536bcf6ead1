// Tells a person what happened: a toast in the tab they look at, a notification of the browser when they look at none (only if they
// asked for it), and in the tab's title how many things need them. What was told once in this browser is not told again.
import { createElement as h, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useNavigate } from "react-router";
import { toast } from "sonner";

const WISH = "opsroom.notify";
const TOLD = "opsroom.told";
const SHOWN_MS = 8000;
const SHOWN_SINGLY = 3;
const OWN_TURN_MS = 400; // a tab that is looked at tells first
const listeners = new Set();
const wishes = {
  subscribe: (listener) => {
    listeners.add(listener);
    window.addEventListener("storage", listener);
    return () => {
      listeners.delete(listener);
      window.removeEventListener("storage", listener);
    };
  },
  // "none": the browser has no notifications here; "blocked": the person has refused them to this site.
  state: () => {
    if (!("Notification" in window)) return "none";
    if (Notification.permission === "denied") return "blocked";
    return localStorage.getItem(WISH) === "on" && Notification.permission === "granted" ? "on" : "off";
  },
  set: (value) => {
    localStorage.setItem(WISH, value);
    for (const listener of listeners) listener();
  },
};

const told = () => {
  try {
    return JSON.parse(localStorage.getItem(TOLD)) ?? [];
  } catch {
    return [];
  }
};
const tell = (ids) => localStorage.setItem(TOLD, JSON.stringify([...new Set([...told(), ...ids])].slice(-200)));

function useTitle(needs) {
  useEffect(() => {
    const write = () => {
      const plain = document.title.replace(/^\(\d+\+?\) /, "");
      const wanted = needs ? `(${needs > 99 ? "99+" : needs}) ${plain}` : plain;
      if (document.title !== wanted) document.title = wanted;
    };
    write();
    const watcher = new MutationObserver(write); // another page brings another title
    watcher.observe(document.head, { childList: true, subtree: true, characterData: true });
    return () => watcher.disconnect();
  }, [needs]);
}

function notify(note, navigate) {
  if (wishes.state() !== "on") return;
  const shown = new Notification(note.title, { body: note.text, tag: note.id, icon: "/room/mark.svg" });
  shown.onclick = () => {
    window.focus();
    navigate(note.href);
    shown.close();
  };
}

const TONES = { succeeded: "success", failed: "error", timed_out: "error" };

function say(note, navigate) {
  const tell = toast[TONES[note.state]] ?? toast.message;
  tell(note.title, { id: note.id, description: note.text, duration: SHOWN_MS, action: { label: "Open", onClick: () => navigate(note.href) } });
}

// Many at once are one toast, which the next many replace: a hundred of them would hide the page.
function sayTogether(notes, navigate) {
  const words = notes.map((note) => note.title.split(":")[0].toLowerCase());
  const counts = [...new Set(words)].map((word) => `${words.filter((other) => other === word).length} ${word}`);
  toast.message(`${notes.length} things happened`, { id: "together", description: counts.join(", "), duration: SHOWN_MS,
    action: { label: "Runs", onClick: () => navigate("/runs") } });
}

export function Notices({ needs, notes, asOf }) {
  const navigate = useNavigate();
  const known = useRef(null);
  useTitle(needs);
  useEffect(() => {
    if (!asOf) return undefined;
    // What ended before this tab was there is no news, unless the tab was only away for a reload.
    const fresh = known.current ? notes.filter((note) => !known.current.has(note.id)) : [];
    known.current = new Set([...(known.current ?? []), ...notes.map((note) => note.id)]);
    if (!fresh.length) return undefined;
    if (document.visibilityState === "visible") {
      const news = fresh.filter((note) => window.location.pathname !== note.href).reverse(); // not what they are looking at
      if (news.length > SHOWN_SINGLY) sayTogether(news, navigate);
      else for (const note of news) say(note, navigate);
      tell(fresh.map((note) => note.id));
      return undefined;
    }
    setTimeout(() => {
      const already = new Set(told());
      const mine = fresh.filter((note) => !already.has(note.id));
      tell(mine.map((note) => note.id));
      for (const note of mine) notify(note, navigate);
    }, OWN_TURN_MS + Math.random() * OWN_TURN_MS);
    return undefined;
  }, [notes, asOf]);
  return null;
}

const WORDS = { on: "Notifying in this browser", off: "Notify me in this browser", blocked: "Notifications are blocked" };

export function NotifySwitch() {
  const state = useSyncExternalStore(wishes.subscribe, wishes.state, () => "none");
  const [asking, setAsking] = useState(false);
  if (state === "none") return null;
  const turn = async () => {
    if (state === "on") return wishes.set("off");
    setAsking(true);
    const answer = await Notification.requestPermission();
    setAsking(false);
    return wishes.set(answer === "granted" ? "on" : "off");
  };
  return h(
    "button",
    { type: "button", role: "switch", "aria-checked": state === "on", className: "menu-item", disabled: state === "blocked" || asking, onClick: turn,
      title: state === "blocked" ? "Allow them for this site in the browser's settings." : "When a run that you launched ends, or an approval is waited for, and no tab of the room is in front." },
    h("svg", { width: 15, height: 15, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round", strokeLinejoin: "round", "aria-hidden": true },
      h("path", { d: state === "on" ? "M6 8a6 6 0 0 1 12 0c0 7 3 9 3 9H3s3-2 3-9M10.3 21a1.9 1.9 0 0 0 3.4 0" : "M8.7 3A6 6 0 0 1 18 8c0 2.3.3 4.1.8 5.5M17 17H3s3-2 3-9c0-.6.1-1.2.3-1.7M10.3 21a1.9 1.9 0 0 0 3.4 0M2 2l20 20" })),
    h("span", null, WORDS[state]),
  );
}
