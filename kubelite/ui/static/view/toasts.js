// What happens a moment later and can be taken back until then, and one line about what has
// happened.

import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { useKeys } from "./hooks.js";

const UNDO_SECONDS = 5;
let count = 0;

/**
 * { toasts, act, tell }: act(title, carryOut) waits for five seconds, and says the sentence that
 * carryOut may resolve to; tell(text) only says something.
 */
export function useToasts() {
  const [toasts, setToasts] = useState([]);
  const add = (toast) => setToasts((before) => [...before, { id: (count += 1), ...toast }]);
  const drop = (id) => setToasts((before) => before.filter((toast) => toast.id !== id));
  const tell = (text, level = "") => add({ text, level });
  const act = (title, carryOut) =>
    add({
      text: title,
      carryOut: () =>
        carryOut().then(
          (sentence) => typeof sentence === "string" && tell(sentence),
          (error) => tell(`${title}: ${error.message}`, "bad"),
        ),
    });
  return { toasts, drop, act, tell };
}

export function Toasts({ toasts, drop }) {
  const last = toasts.findLast(({ carryOut }) => carryOut);
  useKeys({ u: () => last && drop(last.id) });
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.map((toast) =>
      toast.carryOut
        ? html`<${Pending} key=${toast.id} toast=${toast} drop=${() => drop(toast.id)} />`
        : html`<${Line} key=${toast.id} toast=${toast} drop=${() => drop(toast.id)} />`,
    )}
  </div>`;
}

function Pending({ toast, drop }) {
  const [left, setLeft] = useState(UNDO_SECONDS);
  useEffect(() => {
    if (left === 0) {
      drop();
      toast.carryOut();
      return undefined;
    }
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return html`<div class="toast">
    <span>${toast.text}</span><span class="dim" aria-hidden="true">in ${left} s</span>
    <button type="button" class="undo" aria-keyshortcuts="u" onClick=${drop}>Undo</button>
    <kbd aria-hidden="true">u</kbd>
  </div>`;
}

function Line({ toast, drop }) {
  useEffect(() => {
    if (toast.level === "bad") return undefined;
    const timer = setTimeout(drop, 4000);
    return () => clearTimeout(timer);
  }, []);
  return html`<div class=${`toast ${toast.level}`}><span>${toast.text}</span>
    <button type="button" class="quiet" aria-label="Dismiss" onClick=${drop}>✕</button></div>`;
}
