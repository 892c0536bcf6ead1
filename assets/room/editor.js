// The editor of a template's text. What is typed is told to the server, which answers what is wrong and where; an unsaved text is kept in the
// browser until it is saved or thrown away. CodeMirror comes with this file, so only pages that show an editor load it.
import { createElement as h, useEffect, useRef, useState } from "react";
import { EditorState, Compartment } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { HighlightStyle, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { yaml } from "@codemirror/lang-yaml";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { tags } from "@lezer/highlight";
import { age } from "./clock.js";

const TELL_MS = 300;

const colours = HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: "var(--accent)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword, tags.atom], color: "var(--claimed)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--text-3)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace, tags.meta], color: "var(--text-2)" },
  { tag: [tags.labelName, tags.typeName], color: "var(--timed-out)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--log)", fontSize: "var(--t-12)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.65", fontVariantLigatures: "none" },
  ".cm-content": { caretColor: "var(--accent)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--log)", color: "var(--text-3)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in oklab, var(--text) 5%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in oklab, var(--accent) 28%, transparent)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--failed)", textUnderlineOffset: "3px" },
  ".cm-tooltip": { backgroundColor: "var(--surface-2)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "6px", boxShadow: "var(--shade-2)" },
  ".cm-diagnostic": { borderLeft: "3px solid var(--failed)", fontFamily: "var(--sans)", padding: "6px 10px" },
  ".cm-lint-marker": { width: "0.9em", height: "0.9em" },
});

function diagnostics(state, problems) {
  return (problems ?? []).map((problem) => {
    const line = state.doc.line(Math.min(Math.max(problem.line, 1), state.doc.lines));
    const from = Math.min(line.from + Math.max(problem.column - 1, 0), line.to);
    const to = problem.end_column ? Math.min(line.from + problem.end_column - 1, line.to) : line.to;
    return { from, to: Math.max(from, to), severity: problem.severity, message: problem.message };
  });
}

const kept = (key) => {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
};
const keep = (key, draft) => {
  try {
    draft ? localStorage.setItem(key, JSON.stringify(draft)) : localStorage.removeItem(key);
  } catch {
    // A browser that keeps nothing: the text lives as long as the page.
  }
};

// `start` is the saved text, made from version `base`. `draft` names where an unsaved text is kept; empty: nowhere. The surrounding form sends
// `source` and `base`. `onTop` is a newer version that the person decided to save on top of; 0: none.
export function CodeEditor({ start, base, onTop, draft, problems, readOnly, label, onEdit }) {
  const [found] = useState(() => {
    const old = draft ? kept(draft) : null;
    return old && typeof old.text === "string" && old.text !== start ? old : null;
  });
  const [restored, setRestored] = useState(Boolean(found));
  const [dirty, setDirty] = useState(Boolean(found));
  const box = useRef(null);
  const view = useRef(null);
  const source = useRef(null);
  const timer = useRef(0);
  const writable = useRef(new Compartment());
  const from = onTop || (dirty && found ? found.base : base);
  const basis = useRef(from);
  basis.current = from;
  const edit = useRef(onEdit);
  edit.current = onEdit;

  useEffect(() => {
    const changed = EditorView.updateListener.of((update) => {
      if (!update.docChanged) return;
      const text = update.state.doc.toString();
      source.current.value = text;
      setDirty(text !== start);
      if (draft) keep(draft, text === start ? null : { text, base: basis.current, at: Date.now() });
      clearTimeout(timer.current);
      timer.current = setTimeout(() => edit.current?.(text), TELL_MS);
    });
    const save = { key: "Mod-s", preventDefault: true, run: () => (box.current.closest("form")?.requestSubmit(), true) };
    view.current = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: found?.text ?? start,
        extensions: [
          lineNumbers(), lintGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(), highlightActiveLine(), highlightActiveLineGutter(),
          indentUnit.of("  "), EditorState.tabSize.of(2), EditorView.lineWrapping, yaml(), syntaxHighlighting(colours), look, changed,
          keymap.of([save, indentWithTab, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
          writable.current.of([EditorState.readOnly.of(readOnly), EditorView.editable.of(true)]),
          EditorView.contentAttributes.of({ "aria-label": label, "aria-description": "Tab indents. Press Escape, then Tab, to leave.", spellcheck: "false", autocorrect: "off", autocapitalize: "off" }),
        ],
      }),
    });
    source.current.value = found?.text ?? start;
    if (found) edit.current?.(found.text);
    const saved = () => {
      if (draft) keep(draft, null);
      setDirty(false);
    };
    window.addEventListener("opsroom:saved", saved);
    return () => {
      clearTimeout(timer.current);
      window.removeEventListener("opsroom:saved", saved);
      view.current.destroy();
    };
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: writable.current.reconfigure([EditorState.readOnly.of(readOnly)]) });
  }, [readOnly]);
  useEffect(() => {
    if (view.current) view.current.dispatch(setDiagnostics(view.current.state, diagnostics(view.current.state, problems)));
  }, [problems]);
  useEffect(() => {
    if (onTop && draft) keep(draft, { text: source.current.value, base: onTop, at: Date.now() });
  }, [onTop]);
  useEffect(() => {
    if (!dirty || draft) return undefined; // what is kept as a draft is not lost
    const warn = (event) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [dirty, draft]);

  const afresh = () => {
    view.current.dispatch({ changes: { from: 0, to: view.current.state.doc.length, insert: start } });
    setRestored(false);
    view.current.focus();
  };
  const go = (problem) => {
    const line = view.current.state.doc.line(Math.min(Math.max(problem.line, 1), view.current.state.doc.lines));
    view.current.dispatch({ selection: { anchor: Math.min(line.from + Math.max(problem.column - 1, 0), line.to) }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
    view.current.focus();
  };
  return h(
    "div",
    { className: "editor", "data-dirty": String(dirty) },
    restored && dirty
      ? h("div", { className: "editor-restored" }, h("span", null, `Your unsaved changes of ${age(Date.now() - found.at)} ago are here again${found.base ? `, made from version ${found.base}` : ""}.`), h("button", { type: "button", className: "link", onClick: afresh }, "Throw them away"))
      : null,
    h("div", { className: "editor-text", ref: box }),
    problems?.length
      ? h(
          "ul",
          { className: "findings", "aria-label": "Findings", "data-state": "failed" },
          problems.map((problem, index) =>
            h("li", { key: index }, h("button", { type: "button", className: "finding", onClick: () => go(problem) }, h("span", { className: "finding-line num" }, `Line ${problem.line}`), h("span", null, problem.message))),
          ),
        )
      : null,
    h("textarea", { name: "source", ref: source, hidden: true, tabIndex: -1, "aria-hidden": true }),
    h("input", { type: "hidden", name: "base", value: from, readOnly: true }),
  );
}
