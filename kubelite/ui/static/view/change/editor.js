// The object as YAML, and changes to it: tried out by the server before they are made.

import { html, useEffect, useRef, useState } from "../../vendor/preact-htm.js";
import * as actions from "../../api/actions.js";
import { difference } from "../../model/diff.js";
import { rebased, withoutManagedFields } from "../../model/yaml.js";
import { useKeys, useLoaded, usePage, useRights } from "../hooks.js";
import { Nothing, Problem } from "../parts.js";
import { problemsOf, YamlField } from "./yaml_field.js";

const SIGN_CLASSES = { " ": "", "-": "removed", "+": "added", "…": "dim" };
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
  const [tried, setTried] = useState(null); // what the server would store
  const area = useRef();
  useEffect(() => {
    area.current.setSelectionRange(0, 0);
    area.current.focus();
  }, []);
  const send = async (dryRun) => {
    try {
      const stored = await write(resource, opened, { draft, base: text, dryRun });
      setProblems([]);
      if (dryRun) setTried(withoutManagedFields(stored).text);
      else saved();
    } catch (error) {
      setTried(null);
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
        tried !== null &&
        html`<span class="state good"
        role="status">The server would accept this.</span>`
      }
    </div>
    ${tried !== null && html`<${Difference} lines=${difference(text, tried)} />`}
    <${YamlField} area=${area} label="YAML of the object" text=${draft} problems=${problems}
      change=${(changed) => {
        setDraft(changed);
        setTried(null);
      }} />
  </div>`;
}

/** What a change would make of the object, the fields that the server fills in too. */
function Difference({ lines }) {
  if (!lines.length) return html`<p class="dim">Nothing would change.</p>`;
  const names = { "-": "taken out: ", "+": "put in: " };
  return html`<pre class="difference" tabindex="0" aria-label="What would change">
    ${lines.map(
      ({ sign, text }, index) => html`<span key=${index} class=${`line ${SIGN_CLASSES[sign]}`}>
    <span class="sr">${names[sign]}</span>${sign} ${text}${"\n"}</span>`,
    )}</pre>`;
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
