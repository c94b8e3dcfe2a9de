// Actions that ask something first.

import { html, useState } from "../../vendor/preact-htm.js";
import * as actions from "../../api/actions.js";
import { forwardPort } from "../../api/forward.js";
import { drain, readDrainPlan, readRevisions, rollBack } from "../../api/rollout.js";
import { containersOf } from "../../model/pod/containers.js";
import { imagesOf } from "../../model/workloads.js";
import { useLoaded, useNow, usePage } from "../hooks.js";
import { Age, Dialog, Nothing, Problem } from "../parts.js";

/** A form in a dialog: `carryOut` is done some seconds after it was sent. */
function Asking({ title, send, close, isDisabled, children }) {
  const submit = (event) => {
    event.preventDefault();
    close();
    send();
  };
  return html`<${Dialog} label=${title} close=${close}>
    <form onSubmit=${submit}><h2>${title}</h2>${children}
      <div class="buttons"><button type="submit" class="primary" disabled=${isDisabled}>
        ${title.split(" ")[0]}</button><button type="button" onClick=${close}>Cancel</button></div>
    </form>
  </${Dialog}>`;
}

export function Scale({ resource, object, close }) {
  const { act } = usePage();
  const { namespace, name } = object.metadata;
  const [replicas, setReplicas] = useState(object.spec.replicas ?? 1);
  const send = () =>
    act(`Scale ${name} to ${replicas}`, () =>
      actions.scale(resource, { namespace, name }, Number(replicas)),
    );
  return html`<${Asking} title=${`Scale ${name}`} send=${send} close=${close}>
    <label>Replicas <input type="number" min="0" max="10000" required autofocus value=${replicas}
      onInput=${(event) => setReplicas(event.target.value)} /></label>
  </${Asking}>`;
}

export function SetImages({ resource, object, close }) {
  const { act } = usePage();
  const { namespace, name } = object.metadata;
  const [images, setImages] = useState(imagesOf(resource.id, object));
  const before = imagesOf(resource.id, object);
  const changes = images.filter(({ image }, index) => image !== before[index]?.image);
  const send = () =>
    act(`Set the image of ${resource.kind} ${name}`, () =>
      actions.setImages(resource, { namespace, name }, changes),
    );
  const change = (place, image) =>
    setImages(images.map((one, index) => (index === place ? { ...one, image } : one)));
  return html`<${Asking} title=${`Set image of ${name}`} send=${send} close=${close}
    isDisabled=${!changes.length}>
    ${images.map(
      ({ name: container, image }, index) => html`<label key=${container} class="above">
      ${container}<input required autofocus=${index === 0} spellcheck=${false} value=${image}
        onInput=${(event) => change(index, event.target.value.trim())} /></label>`,
    )}
  </${Asking}>`;
}

export function RollBack({ resource, object, close }) {
  const { act, resources } = usePage();
  const now = useNow();
  const { namespace, name } = object.metadata;
  const { value: revisions, error } = useLoaded(
    () => readRevisions(resources, resource, object),
    [object.metadata.resourceVersion],
  );
  const send = (revision) => {
    close();
    act(`Roll ${resource.kind} ${name} back to revision ${revision.revision}`, () =>
      rollBack(resource, { namespace, name }, revision),
    );
  };
  return html`<${Dialog} label=${`Roll back ${name}`} close=${close} kind="wide">
    <h2>Roll back ${name}</h2>
    ${error && html`<${Problem} error=${error} />`}
    ${
      revisions
        ? html`<${Revisions} revisions=${revisions} send=${send} now=${now} />`
        : html`<${Nothing}>Reading …</${Nothing}>`
    }
    <button type="button" onClick=${close}>Cancel</button>
  </${Dialog}>`;
}

function Revisions({ revisions, send, now }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of revisions"><table
    class="plain"><thead><tr><th scope="col">Revision</th><th scope="col">Images</th>
      <th scope="col">Made</th><th scope="col">Go back</th></tr></thead>
    <tbody>${revisions.map(
      (one) => html`<tr key=${one.revision}>
      <th scope="row">${one.revision}</th>
      <td>${one.images}${one.cause && html`<p class="dim">${one.cause}</p>`}</td>
      <td><${Age} time=${one.time} now=${now} /></td>
      <td>${
        one.isCurrent
          ? html`<span class="dim">current</span>`
          : html`<button type="button" aria-label=${`Go back to revision ${one.revision}`}
            onClick=${() => send(one)}>Go back</button>`
      }</td></tr>`,
    )}</tbody></table></div>`;
}

export function Drain({ resource, object, close }) {
  const { act } = usePage();
  const { name } = object.metadata;
  const { value: plan, error } = useLoaded(() => readDrainPlan(name), [name]);
  const send = () => act(`Drain ${name}`, () => drain(resource, { name }));
  return html`<${Asking} title=${`Drain ${name}`} send=${send} close=${close} isDisabled=${!plan}>
    ${error && html`<${Problem} error=${error} />`}
    ${
      plan
        ? html`<ul>
        <li>The node takes no new pods. To be evicted: ${counted(plan.leaving)}.</li>
        <li>Staying, of DaemonSets or static: ${counted(plan.staying)}.</li>
        <${Lost} pods=${plan.unowned} text="Nothing makes these anew, as they have no controller" />
        <${Lost} pods=${plan.withData} text="These lose the data of their emptyDir volumes" />
      </ul>`
        : html`<${Nothing}>Reading …</${Nothing}>`
    }
  </${Asking}>`;
}

function counted({ length }) {
  return length === 1 ? "1 pod" : `${length} pods`;
}

function Lost({ pods, text }) {
  if (!pods.length) return null;
  const names = pods.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`);
  return html`<li class="warn">${text}: ${names.join(", ")}.</li>`;
}

/** A port of a pod on this machine: at once, as it changes nothing of the cluster. */
export function ForwardPort({ object, close }) {
  const { name } = object.metadata;
  const declared = containersOf(object)
    .flatMap(({ spec }) => spec.ports ?? [])
    .map(({ containerPort }) => containerPort);
  const [port, setPort] = useState(declared[0] ?? 80);
  const [address, setAddress] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setError(null);
    setAddress(await forwardPort(object.metadata, port).catch((problem) => setError(problem)));
  };
  return html`<${Dialog} label=${`Forward a port of ${name}`} close=${close}>
    <form onSubmit=${submit}><h2>Forward a port of ${name}</h2>
      <label>Port <input type="number" min="1" max="65535" required autofocus value=${port}
        list="declared-ports" onInput=${(event) => setPort(event.target.value)} /></label>
      <datalist id="declared-ports">${declared.map(
        (one) => html`<option key=${one} value=${one} />`,
      )}</datalist>
      ${error && html`<${Problem} error=${error} />`}
      <p role="status">${
        address &&
        html`Reached from this machine, while <code>kubelite ui</code> runs, at <a href=${address}
          target="_blank" rel="noopener noreferrer">${address}</a>`
      }</p>
      <div class="buttons"><button type="submit" class="primary">Forward</button><button
        type="button" onClick=${close}>Close</button></div>
    </form>
  </${Dialog}>`;
}
