// Dialogs: the browser's own, and the button that asks once more.
import { createElement as h, useLayoutEffect, useRef, useState } from "react";

// A dialog of the browser: it keeps the focus, closes on Escape, and dims what is behind it.
export function Modal({ open, ...rest }) {
  return open ? h(Dialog, rest) : null; // hundreds of cards have one each: what is closed is not there
}

function Dialog({ onClose, label, children }) {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    const node = dialog.current;
    node.showModal(); // gives the focus to what comes first: the field, or where there is none the button that does nothing
    return () => node.close(); // gives the focus back to where it was
  }, []);
  const close = (event) => {
    if (event.target === dialog.current) onClose?.();
  };
  return h("dialog", { ref: dialog, className: "modal", "aria-label": label, onClose: close, onMouseDown: close }, children);
}

// A button that asks once more before it does what cannot be undone.
export function ConfirmButton({ label, title, body, confirmLabel, cancelLabel = "Keep it", askReason, danger = true, disabled, hint, className, icon, onConfirm, children }) {
  const [open, setOpen] = useState(false);
  const reason = useRef(null);
  const done = (event) => {
    event.preventDefault();
    setOpen(false);
    onConfirm?.(reason.current?.value ?? "");
  };
  return h(
    "span",
    { className: "above", style: { display: "contents" } },
    h("button", { type: "button", className, disabled, title: disabled ? hint : title, "aria-label": label, onClick: () => setOpen(true) }, children),
    h(
      Modal,
      { open, onClose: () => setOpen(false), label: title },
      h(
        "form",
        { onSubmit: done },
        h("h2", { className: "modal-head" }, title),
        h(
          "div",
          { className: "modal-body" },
          h("p", null, body),
          askReason
            ? h("label", { className: "field" }, h("span", { className: "field-label" }, "Reason", h("span", { className: "required" }, "optional")),
                h("input", { className: "input", ref: reason, name: "reason", maxLength: 500, autoComplete: "off" }))
            : null,
        ),
        h(
          "div",
          { className: "modal-foot" },
          h("button", { type: "button", className: "btn", onClick: () => setOpen(false) }, cancelLabel),
          h("button", { type: "submit", className: danger ? "btn btn-danger" : "btn btn-primary" }, confirmLabel),
        ),
      ),
    ),
  );
}
