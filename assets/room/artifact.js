// An artifact: what it is, whether its bytes are those on record, and a view of it that fits its kind.
import { createElement as h, useEffect, useState } from "react";
import { Link as To } from "react-router";
import { DiffRows } from "./artifact_diff.js";
import { JsonTree } from "./artifact_json.js";
import { Listing, Table, bytes } from "./artifact_table.js";
import { TextPages } from "./artifact_text.js";
import { glyphs } from "./glyphs.js";
import { address } from "./selection.js";

function useView(src, again) {
  const [answer, setAnswer] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    setAnswer(null);
    fetch(`${src}/view`, { signal: stop.signal, headers: { Accept: "application/json" } })
      .then(async (response) => {
        if (response.ok) return response.json();
        const refused = await response.json().catch(() => ({ message: response.status === 404 ? "This run has no such artifact." : "The room did not answer as it should." }));
        return { shape: "refused", name: "Artifact", note: `${refused.message} ${refused.hint ?? ""}`.trim() };
      })
      .catch(() => ({ shape: "refused", name: "Artifact", note: "The room cannot be reached. Check the connection and try again." }))
      .then((view) => stop.signal.aborted || setAnswer(view));
    return () => stop.abort();
  }, [src, again]);
  return answer;
}

const CHECK_LIMIT = 1_000_000_000;

// Computes SHA-256 here, over the bytes as the store has them, and compares it with the record.
function Digest({ view, src }) {
  const [state, setState] = useState({ is: "" });
  const check = async () => {
    if (!window.crypto?.subtle) return setState({ is: "warn", text: "This browser computes digests on https or localhost only. Download it and run sha256sum." });
    if (view.size > CHECK_LIMIT) return setState({ is: "warn", text: "Too large to be checked in a browser. Download it and run sha256sum." });
    setState({ is: "busy" });
    try {
      const answer = await fetch(src, { headers: view.size ? { Range: "bytes=0-" } : {} });
      if (!answer.ok) throw new Error(answer.status === 404 ? "the store does not have the bytes" : `the room answered ${answer.status}`);
      const data = await answer.arrayBuffer();
      const sum = [...new Uint8Array(await window.crypto.subtle.digest("SHA-256", data))].map((b) => b.toString(16).padStart(2, "0")).join("");
      setState(sum === view.sha256 ? { is: "succeeded", text: `Match: ${bytes(data.byteLength)} read` }
        : { is: "failed", text: `Mismatch: the store has ${sum.slice(0, 16)}… (${bytes(data.byteLength)})` });
    } catch (error) {
      setState({ is: "failed", text: `Could not be checked: ${error.message}` });
    }
  };
  return h("div", { className: "artifact-digest" }, h("span", null, "SHA-256"), h("code", null, view.sha256),
    h("span", { role: "status" }, state.text ? h("span", { className: "badge", "data-state": state.is }, state.text) : null),
    h("button", { type: "button", className: "btn btn-ghost btn-small", disabled: state.is === "busy", onClick: check }, glyphs.shield, state.is === "busy" ? "Checking" : "Check"));
}

function Picture({ view, src }) {
  const [broken, setBroken] = useState(false);
  if (broken) return h("p", { className: "artifact-wait faint" }, `This is not a picture that a browser can show, whatever its type (${view.media_type || "none"}) says.`);
  return h("div", { className: "artifact-picture" }, h("img", { src: `${src}?inline`, alt: view.name, onError: () => setBroken(true) }));
}

// HTML of a run is somebody else's: no script, no origin, no request gets out of the box, and the answer's own policy says the same.
const Page = ({ view, src }) => h("iframe", { className: "artifact-frame artifact-scroll", src: `${src}?inline`, sandbox: "", referrerPolicy: "no-referrer", title: view.name });

function Link({ view }) {
  return h("div", { className: "artifact-link" }, h("code", null, view.url || "(no address)"),
    view.safe ? h("a", { className: "btn", href: view.url, target: "_blank", rel: "noopener noreferrer" }, glyphs.link, "Open in a new tab")
      : h("p", { className: "faint" }, "Not a web address, so it is shown and not linked."));
}

const Prose = ({ view }) => h("div", { className: "prose-scroll artifact-scroll", tabIndex: 0, role: "region", "aria-label": view.name, dangerouslySetInnerHTML: { __html: view.html } });

const SHAPES = { markdown: Prose, json: JsonTree, diff: DiffRows, table: Table, archive: Listing, image: Picture, html: Page, link: Link, text: TextPages };
const NOTES = { html: "Shown without its scripts and without anything from other places. Download it to open it in full." };

// Whether a view has a source worth looking at beside it.
const hasSource = (view) => ["markdown", "json", "diff", "table", "html"].includes(view.shape) || (view.shape === "image" && view.media_type === "image/svg+xml");

function Body({ view, src, raw, again }) {
  const Shape = raw ? TextPages : SHAPES[view.shape];
  const note = view.note || (raw ? "" : NOTES[view.shape]);
  return h(
    "div",
    { className: "artifact-body", "data-shape": raw ? "text" : view.shape },
    note && Shape ? h("p", { className: "artifact-note" }, view.note ? glyphs.warn : glyphs.shield, note) : null,
    Shape ? h(Shape, { view, src, key: raw }) : h("div", { className: "artifact-link", role: "alert" },
      h("p", null, note || "This artifact can be downloaded and not shown."),
      view.shape === "refused" || view.shape === "missing" ? h("button", { type: "button", className: "btn", onClick: again }, "Try again") : null),
  );
}

export function ArtifactView({ src, inPlace = false, onClose }) {
  const [tries, setTries] = useState(0);
  const [raw, setRaw] = useState(false);
  const view = useView(src, tries);
  const id = src.split("/").pop();
  useEffect(() => {
    if (!inPlace) return undefined;
    const show = (value) => window.history.replaceState(window.history.state, "", address({ artifact: value }));
    show(id);
    return () => /^\/runs\/[^/]+\/?$/.test(window.location.pathname) && new URLSearchParams(window.location.search).get("artifact") === id && show("");
  }, [id, inPlace]);
  if (!view) {
    return h("section", { className: "panel artifact-view", "aria-label": "Artifact", "aria-busy": true },
      h("div", { className: "artifact-wait" }, [38, 64, 52, 70].map((w) => h("div", { key: w, className: "skeleton", style: { width: `${w}%`, height: 13 } }))));
  }
  const there = !["refused", "missing", "expired"].includes(view.shape);
  const about = [view.kind, view.media_type, view.shape !== "link" && view.size !== undefined && bytes(view.size), view.step && `from ${view.step}`].filter(Boolean);
  return h(
    "section",
    { className: `panel artifact-view ${inPlace ? "artifact-in-place" : ""}`, "aria-label": "Artifact", "data-artifact": view.id },
    h("header", { className: "artifact-head" }, h("h2", null, view.name),
      h("span", { className: "artifact-about" }, about.map((text) => h("span", { key: text, className: "num" }, text))),
      h("span", { className: "artifact-tools" },
        hasSource(view) ? h("span", { className: "segments", role: "group", "aria-label": "How it is shown" },
          h("button", { type: "button", className: "segment", "aria-pressed": !raw, onClick: () => setRaw(false) }, "View"),
          h("button", { type: "button", className: "segment", "aria-pressed": raw, onClick: () => setRaw(true) }, "Source")) : null,
        there && view.shape !== "link" ? h("a", { className: "btn btn-small", href: src, download: true }, glyphs.download, "Download") : null,
        inPlace && view.run ? h(To, { className: "btn btn-ghost btn-small", to: `/runs/${view.run}/artifacts/${id}` }, "Full page") : null,
        inPlace ? h("button", { type: "button", className: "btn btn-ghost btn-small btn-icon", "aria-label": "Close", title: "Close", onClick: () => onClose?.() }, glyphs.close) : null)),
    there && view.sha256 ? h(Digest, { view, src, key: src }) : null,
    h(Body, { view, src, raw, key: view.id, again: () => setTries(tries + 1) }),
  );
}
