// The object as YAML, and changes to it: tried out by the server before they are made.

import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import * as actions from "../api/actions.js";
import { lineOfField, rebased, withoutManagedFields } from "../model/yaml.js";
import { useKeys, useLoaded, usePage, useRights } from "./hooks.js";
import { Nothing, Problem } from "./parts.js";

const TRIES = 4; // of a change, while the status changes

export function Editor({ resource, opened, revision }) {
  const { tell } = usePage();
  const { value: whole, error } = useLoaded(
    () => actions.readYaml(resource, opened),
    [opened.name, revision],
  );
  const [showsAll, setShowsAll] = useState(false);
  const [draft, setDraft] = useState(null);
  const rights = useRights({ update: ["update", resource, opened.namespace] });
  useKeys({
    e: () => rights.update && whole && draft === null && setDraft(withoutManagedFields(whole).text),
  });
  if (error) return html`<${Problem} error=${error} />`;
  if (whole === undefined) return html`<${Nothing}>Reading …</${Nothing}>`;
  if (draft !== null) {
    return html`<${Draft} resource=${resource} opened=${opened} text=${draft}
      close=${() => setDraft(null)}
      saved=${() => {
        setDraft(null);
        tell(`${resource.kind} ${opened.name} is changed`);
      }} />`;
  }
  const { text, folded } = withoutManagedFields(whole);
  return html`<div class="yaml">
    <div class="bar">
      ${
        rights.update &&
        html`<button type="button"
        onClick=${() => setDraft(text)}>Edit <kbd>e</kbd></button>`
      }
      ${
        navigator.clipboard &&
        html`<button type="button"
        onClick=${() => navigator.clipboard.writeText(text)}>Copy</button>`
      }
      ${
        folded > 0 &&
        html`<button type="button" aria-pressed=${showsAll}
        onClick=${() => setShowsAll(!showsAll)}>managedFields <span class="dim">
        ${folded} lines</span></button>`
      }
    </div>
    <pre tabindex="0" aria-label="YAML">
      ${(showsAll ? whole : text).split("\n").map(
        (line, index) => html`<${Line} key=${index}
      text=${line} />`,
      )}</pre>
  </div>`;
}

/** A line with its key told apart from its value. */
function Line({ text }) {
  const parts = /^(\s*(?:- )*)([^\s:'"][^:'"]*)(:)(.*)$/.exec(text);
  if (!parts) return html`<span class="line">${text}${"\n"}</span>`;
  const [, indent, key, colon, value] = parts;
  return html`<span class="line">${indent}<span class="key">${key}</span>${colon}${value}${"\n"}
    </span>`;
}

function Draft({ resource, opened, text, close, saved }) {
  const [draft, setDraft] = useState(text);
  const [problems, setProblems] = useState([]);
  const [isTried, setIsTried] = useState(false);
  const area = useRef();
  useEffect(() => area.current.focus(), []);
  const send = async (dryRun) => {
    try {
      await write(resource, opened, { draft, base: text, dryRun });
      setProblems([]);
      if (dryRun) setIsTried(true);
      else saved();
    } catch (error) {
      setIsTried(false);
      setProblems(problemsOf(error, draft));
    }
  };
  return html`<div class="yaml editing">
    <div class="bar">
      <button type="button" class="primary" disabled=${draft === text}
        onClick=${() => send(false)}>Save</button>
      <button type="button" disabled=${draft === text}
        onClick=${() => send(true)}>Try (dry run)</button>
      <button type="button" onClick=${close}>Cancel</button>
      ${
        isTried &&
        html`<span class="state good"
        role="status">The server would accept this.</span>`
      }
    </div>
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
    <div class="lines"><${LineNumbers} count=${draft.split("\n").length}
      marked=${problems.map(({ line }) => line)} />
      <textarea ref=${area} aria-label="YAML of the object" spellcheck=${false} wrap="off"
        rows=${draft.split("\n").length + 1} value=${draft}
        onInput=${(event) => {
          setDraft(event.target.value);
          setIsTried(false);
        }} onKeyDown=${indentWithTab} /></div>
  </div>`;
}

/** A status that changes meanwhile is no reason to refuse a change of something else. */
async function write(resource, opened, { draft, base, dryRun }) {
  let text = draft;
  for (let tries = 1; ; tries += 1) {
    try {
      return await actions.writeYaml(resource, opened, text, { dryRun });
    } catch (error) {
      if (error.code !== 409 || tries === TRIES) throw error;
      text = rebased(draft, base, await actions.readYaml(resource, opened));
      if (text === null) throw error;
    }
  }
}

function LineNumbers({ count, marked }) {
  return html`<div class="numbers" aria-hidden="true">
    ${Array.from(
      { length: count },
      (_, index) => html`<span key=${index}
    class=${marked.includes(index + 1) ? "bad" : ""}>${index + 1}</span>`,
    )}</div>`;
}

/** One problem for each cause that the server names, with the line it is about. */
function problemsOf(error, text) {
  if (!error.causes?.length)
    return [{ line: lineInMessage(error.message), field: "", message: error.message }];
  return error.causes.map(({ field, message }) => ({
    field,
    message,
    line: field ? lineOfField(text, field) : 0,
  }));
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
