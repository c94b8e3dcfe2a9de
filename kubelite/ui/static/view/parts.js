// Small pieces that many screens are made of.

import { html, useEffect, useRef } from "../vendor/preact-htm.js";
import { age } from "../model/time.js";
import { stateLevel } from "../model/health.js";

const SIGNS = { good: "●", warn: "▲", bad: "✖", "": "○" };

/** A word of state: with a sign, so that it does not speak by colour alone. */
export function State({ word, level = stateLevel(word) }) {
  return html`<span class=${`state ${level}`}><span class="sign" aria-hidden="true">${SIGNS[level]}
    </span>${word}</span>`;
}

/** How long ago, with the time itself on hover. */
export function Age({ time, now }) {
  if (!time) return html`<span class="dim">–</span>`;
  return html`<time datetime=${time} title=${new Date(time).toLocaleString()}>${age(time, now)}
    </time>`;
}

export function Problem({ error }) {
  return html`<p class="problem" role="alert">${String(error?.message ?? error)}</p>`;
}

export function Nothing({ children }) {
  return html`<p class="nothing">${children}</p>`;
}

/** Tabs as buttons of a tablist: arrows move between them. */
export function Tabs({ tabs, chosen, choose, label }) {
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const names = tabs.map(([name]) => name);
    const next = names[(names.indexOf(chosen) + step + names.length) % names.length];
    choose(next);
    event.currentTarget.querySelector(`[data-tab="${next}"]`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${onKeyDown}>
    ${tabs.map(
      ([name, title]) => html`<button type="button" role="tab" data-tab=${name} key=${name}
      aria-selected=${name === chosen} tabindex=${name === chosen ? 0 : -1}
        onClick=${() => choose(name)}>${title}</button>`,
    )}
  </div>`;
}

/** A modal dialog that is open while it is there; Escape and a click beside it close it. */
export function Dialog({ label, close, children, kind = "" }) {
  const element = useRef();
  useEffect(() => {
    const before = document.activeElement;
    const dialog = element.current;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  return html`<dialog ref=${element} class=${kind} aria-label=${label} onCancel=${(event) => {
    event.preventDefault();
    close();
  }}
    onClick=${(event) => event.target === element.current && close()}><div class="inside">
      ${children}</div></dialog>`;
}

export function Facts({ facts }) {
  const known = facts.filter(([, value]) => ![undefined, null, false, ""].includes(value));
  return html`<dl class="facts">${known.map(
    ([name, value]) => html`<div key=${name}><dt>${name}
    </dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

/** Labels or annotations. */
export function Pairs({ pairs, choose }) {
  const entries = Object.entries(pairs ?? {});
  if (!entries.length) return html`<span class="dim">none</span>`;
  return html`<ul class="pairs">${entries.map(
    ([key, value]) => html`<li key=${key}>
    ${
      choose
        ? html`<button type="button" class="pair" title="Filter by this label"
          onClick=${() => choose(key, value)}><b>${key}</b>=${value}</button>`
        : html`<span class="pair"><b>${key}</b>=${value}</span>`
    }
  </li>`,
  )}</ul>`;
}
