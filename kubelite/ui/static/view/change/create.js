// New objects from a text of YAML: a template, what is pasted, or a file.

import { html, useEffect, useRef, useState } from "../../vendor/preact-htm.js";
import { create, readDocuments } from "../../api/create.js";
import { byId } from "../../model/kinds.js";
import { template } from "../../model/templates.js";
import { usePage } from "../hooks.js";
import { ObjectLink } from "../summary.js";
import { problemsOf, YamlField } from "./yaml_field.js";

export function Create() {
  const { info, resources, route, go } = usePage();
  const creatable = resources.filter(({ verbs }) => verbs.includes("create"));
  const resource = byId(creatable, route.kind) ?? byId(creatable, "pods") ?? creatable[0];
  const [text, setText] = useState(template(resource));
  const [problems, setProblems] = useState([]);
  const [results, setResults] = useState([]);
  const area = useRef();
  const change = (changed) => {
    setText(changed);
    setProblems([]);
    setResults([]);
  };
  useEffect(() => {
    change(template(resource));
    area.current.focus();
  }, [resource.id]);
  const send = async (dryRun) => {
    const namespace = route.namespace || info.namespace;
    const outcome = await createAll(resources, text, { namespace, dryRun });
    setProblems(outcome.problems);
    setResults(outcome.results);
  };
  const take = async (file) => file && change(await file.text());
  return html`<div class="create yaml editing" onDragOver=${(event) => event.preventDefault()}
    onDrop=${(event) => {
      event.preventDefault();
      take(event.dataTransfer.files[0]);
    }}>
    <h1>Create</h1>
    <div class="bar">
      <button type="button" class="primary" onClick=${() => send(false)}>Create</button>
      <button type="button" onClick=${() => send(true)}>Try (dry run)</button>
      <span class="grow"></span>
      <label>Template <select value=${resource.id}
        onChange=${(event) => go({ kind: event.target.value })}>${creatable.map(
          ({ id, kind, group }) => html`<option key=${id} value=${id}
            selected=${id === resource.id}>${kind}${group && ` (${group})`}</option>`,
        )}</select></label>
      <label>File <input type="file" accept=".yaml,.yml,.json"
        onChange=${(event) => take(event.target.files[0])} /></label>
    </div>
    <${Results} results=${results} />
    <${YamlField} area=${area} label="YAML of new objects" text=${text} change=${change}
      problems=${problems} />
  </div>`;
}

function Results({ results }) {
  return html`<ul class="links results" aria-live="polite">${results.map(
    ({ resource, object, isTried }) => html`<li
      key=${object.metadata.uid}><span class="state good">${isTried ? "would create" : "created"}
      </span> ${
        isTried
          ? `${object.kind} ${object.metadata.name}`
          : html`<${ObjectLink} resource=${resource} kind=${object.kind}
              namespace=${object.metadata.namespace} name=${object.metadata.name} />`
      }</li>`,
  )}</ul>`;
}

/** { results, problems }: all are tried, but what is really created ends at the first refusal. */
async function createAll(resources, text, { namespace, dryRun }) {
  const [results, problems] = [[], []];
  let documents;
  try {
    documents = await readDocuments(text);
  } catch (error) {
    return { results, problems: problemsOf(error, text) };
  }
  if (!documents.length)
    problems.push({ line: 0, field: "", message: "There is no object in the text." });
  for (const { line, object } of documents) {
    try {
      const created = await create(resources, object, { namespace, dryRun });
      results.push({ ...created, isTried: dryRun });
    } catch (error) {
      const found = problemsOf(error, text, line);
      problems.push(...found.map((one) => ({ ...one, line: one.line || line })));
      if (!dryRun) break;
    }
  }
  return { results, problems };
}
