// What can be done with an object, as far as the user may.

import { html, useState } from "../vendor/preact-htm.js";
import * as actions from "../api/actions.js";
import { format } from "../model/route.js";
import { Dialog } from "./parts.js";
import { usePage, useRights } from "./hooks.js";

const SCALED = new Set([
  "deployments.apps",
  "statefulsets.apps",
  "replicasets.apps",
  "replicationcontrollers",
]);
const RESTARTED = new Set(["deployments.apps", "statefulsets.apps", "daemonsets.apps"]);

export function Actions({ resource, object }) {
  const { act, route } = usePage();
  const [isScaling, setIsScaling] = useState(false);
  const { namespace = "", name } = object.metadata;
  const place = { namespace, name };
  const rights = useRights(questions(resource, namespace));
  const { id } = resource;
  const whole = `${resource.kind} ${name}`;
  const isPodPage = route.screen === "pod";
  const podLink = (tab, title) =>
    html`<a class="button" href=${format({ screen: "pod", namespace, name, tab })}>${title}</a>`;
  return html`<div class="actions" role="group" aria-label="Actions">
    ${id === "pods" && !isPodPage && podLink("overview", "Open pod")}
    ${id === "pods" && !isPodPage && rights.logs && podLink("logs", "Logs")}
    ${id === "pods" && !isPodPage && rights.exec && podLink("terminal", "Shell")}
    ${
      SCALED.has(id) &&
      rights.scale &&
      html`<button type="button"
      onClick=${() => setIsScaling(true)}>Scale</button>`
    }
    ${
      RESTARTED.has(id) &&
      rights.patch &&
      html`<button type="button"
      onClick=${() => act(`Restart ${whole}`, () => actions.restart(resource, place, new Date()))}
      >Restart rollout</button>`
    }
    ${id === "nodes" && rights.patch && html`<${Cordon} resource=${resource} object=${object} />`}
    ${
      id === "cronjobs.batch" &&
      rights.patch &&
      html`<${Suspend} resource=${resource}
      object=${object} />`
    }
    ${
      rights.delete &&
      !object.metadata.deletionTimestamp &&
      html`<button type="button" class="danger"
      onClick=${() => act(`Delete ${whole}`, () => actions.remove(resource, place))}
      >Delete</button>`
    }
    ${
      isScaling &&
      html`<${Scale} resource=${resource} object=${object}
      close=${() => setIsScaling(false)} />`
    }
  </div>`;
}

function questions(resource, namespace) {
  const reviews = {
    delete: ["delete", resource, namespace],
    patch: ["patch", resource, namespace],
  };
  if (SCALED.has(resource.id)) reviews.scale = ["patch", resource, namespace, "scale"];
  if (resource.id === "pods")
    Object.assign(reviews, {
      logs: ["get", resource, namespace, "log"],
      exec: ["create", resource, namespace, "exec"],
    });
  return reviews;
}

function Cordon({ resource, object }) {
  const { act } = usePage();
  const { name } = object.metadata;
  const isCordoned = Boolean(object.spec?.unschedulable);
  const title = isCordoned ? "Uncordon" : "Cordon";
  const carryOut = () => actions.cordon(resource, { name }, !isCordoned);
  return html`<button type="button"
    onClick=${() => act(`${title} ${name}`, carryOut)}>${title}</button>`;
}

function Suspend({ resource, object }) {
  const { act } = usePage();
  const { namespace, name } = object.metadata;
  const isSuspended = Boolean(object.spec?.suspend);
  const title = isSuspended ? "Resume" : "Suspend";
  const carryOut = () => actions.suspend(resource, { namespace, name }, !isSuspended);
  return html`<button type="button"
    onClick=${() => act(`${title} ${name}`, carryOut)}>${title}</button>`;
}

function Scale({ resource, object, close }) {
  const { act } = usePage();
  const { namespace, name } = object.metadata;
  const [replicas, setReplicas] = useState(object.spec.replicas ?? 1);
  const submit = (event) => {
    event.preventDefault();
    close();
    act(`Scale ${name} to ${replicas}`, () =>
      actions.scale(resource, { namespace, name }, Number(replicas)),
    );
  };
  return html`<${Dialog} label=${`Scale ${name}`} close=${close}>
    <form onSubmit=${submit}><h2>Scale ${name}</h2>
      <label>Replicas <input type="number" min="0" max="10000" required autofocus value=${replicas}
        onInput=${(event) => setReplicas(event.target.value)} /></label>
      <div class="buttons"><button type="submit" class="primary">Scale</button><button
        type="button" onClick=${close}>Cancel</button></div>
    </form>
  </${Dialog}>`;
}
