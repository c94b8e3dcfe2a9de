// A field for YAML with numbered lines, and what is wrong with them.

import { html } from "../../vendor/preact-htm.js";
import { lineOfField } from "../../model/yaml.js";

/** `problems` are { line, field, message }; the field's element is put into `area`. */
export function YamlField({ area, label, text, change, problems }) {
  const count = text.split("\n").length;
  return html`
    ${
      problems.length > 0 &&
      html`<ul class="field-problems" role="alert">${problems.map(
        ({ line, field, message }, index) => html`<li key=${index}>
      ${
        line > 0
          ? html`<button type="button" class="link"
        onClick=${() => select(area.current, line)}>line ${line}</button> `
          : ""
      }
      ${field && html`<code>${field}</code> `}${message}</li>`,
      )}</ul>`
    }
    <div class="lines"><${LineNumbers} count=${count} marked=${problems.map(({ line }) => line)} />
      <textarea ref=${area} aria-label=${label} spellcheck=${false} wrap="off"
        rows=${count + 1} value=${text} onInput=${(event) => change(event.target.value)}
        onKeyDown=${indentWithTab} /></div>`;
}

function LineNumbers({ count, marked }) {
  return html`<div class="numbers" aria-hidden="true">
    ${Array.from(
      { length: count },
      (_, index) => html`<span key=${index}
    class=${marked.includes(index + 1) ? "bad" : ""}>${index + 1}</span>`,
    )}</div>`;
}

/**
 * One problem for each cause that the server names, with the line it is about; the object begins
 * at line `first` of the text.
 */
export function problemsOf(error, text, first = 1) {
  if (!error.causes?.length)
    return [{ line: lineInMessage(error.message), field: "", message: error.message }];
  const own = text.split("\n").slice(first - 1).join("\n");
  return error.causes.map(({ field, message }) => {
    const line = field ? lineOfField(own, field) : 0;
    return { field, message, line: line && line + first - 1 };
  });
}

function lineInMessage(message) {
  return Number(/\bline (\d+)/.exec(message)?.[1] ?? 0);
}

function select(area, line) {
  const before =
    area.value
      .split("\n")
      .slice(0, line - 1)
      .join("\n").length + (line > 1 ? 1 : 0);
  const length = area.value.split("\n")[line - 1].length;
  area.focus();
  area.setSelectionRange(before, before + length);
}

/** Shift+Tab and Escape leave the field; Tab writes two spaces. */
function indentWithTab(event) {
  if (event.key === "Escape") {
    event.preventDefault();
    event.target.closest(".editing").querySelector("button").focus();
  } else if (event.key === "Tab" && !event.shiftKey) {
    event.preventDefault();
    event.target.setRangeText("  ", event.target.selectionStart, event.target.selectionEnd, "end");
    event.target.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
}
