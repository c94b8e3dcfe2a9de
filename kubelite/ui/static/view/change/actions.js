// What can be done with an object, as far as the user may.

import { html, useState } from "../../vendor/preact-htm.js";
import * as actions from "../../api/actions.js";
import { byId } from "../../model/kinds.js";
import { keeperOf } from "../../model/revisions.js";
import { format } from "../../model/route.js";
import { hasImages } from "../../model/workloads.js";
import { usePage, useRights } from "../hooks.js";
import { later } from "../later.js";

const dialogNamed = (name) => later(() => import("./dialogs.js"), name);
const DIALOGS = {
  scale: dialogNamed("Scale"),
  images: dialogNamed("SetImages"),
  rollBack: dialogNamed("RollBack"),
  drain: dialogNamed("Drain"),
  forward: dialogNamed("ForwardPort"),
};
const SCALED = new Set([
  "deployments.apps",
  "statefulsets.apps",
  "replicasets.apps",
  "replicationcontrollers",
]);
export const RESTARTED = new Set(["deployments.apps", "statefulsets.apps", "daemonsets.apps"]);

export function Actions({ resource, object }) {
  const { act, route, resources } = usePage();
  const [dialog, setDialog] = useState("");
  const { namespace = "", name } = object.metadata;
  const place = { namespace, name };
  const rights = useRights(questions(resources, resource, namespace));
  const { id } = resource;
  const whole = `${resource.kind} ${name}`;
  const isPodPage = route.screen === "pod";
  const podLink = (tab, title) =>
    html`<a class="button" href=${format({ screen: "pod", namespace, name, tab })}>${title}</a>`;
  const opener = (name, title) =>
    html`<button type="button" onClick=${() => setDialog(name)}>${title}</button>`;
  return html`<div class="actions" role="group" aria-label="Actions">
    ${id === "pods" && !isPodPage && podLink("overview", "Open pod")}
    ${id === "pods" && !isPodPage && rights.logs && podLink("logs", "Logs")}
    ${id === "pods" && !isPodPage && rights.exec && podLink("terminal", "Shell")}
    ${rights.forward && opener("forward", "Forward port")}
    ${rights.scale && opener("scale", "Scale")}
    ${
      RESTARTED.has(id) &&
      rights.patch &&
      html`<button type="button"
      onClick=${() => act(`Restart ${whole}`, () => actions.restart(resource, place, new Date()))}
      >Restart rollout</button>`
    }
    ${rights.images && opener("images", "Set image")}
    ${rights.rollBack && opener("rollBack", "Roll back")}
    ${id === "nodes" && rights.patch && html`<${Cordon} resource=${resource} object=${object} />`}
    ${rights.drain && rights.patch && opener("drain", "Drain")}
    ${rights.trigger && html`<${Trigger} object=${object} />`}
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
      dialog &&
      html`<${DIALOGS[dialog]} resource=${resource} object=${object}
      close=${() => setDialog("")} />`
    }
  </div>`;
}

function questions(resources, resource, namespace) {
  const { id } = resource;
  const reviews = {
    delete: ["delete", resource, namespace],
    patch: ["patch", resource, namespace],
  };
  if (SCALED.has(id)) reviews.scale = ["patch", resource, namespace, "scale"];
  if (hasImages(id)) reviews.images = reviews.patch;
  if (keeperOf(id)) reviews.rollBack = reviews.patch;
  if (id === "nodes") reviews.drain = ["create", byId(resources, "pods"), "", "eviction"];
  const jobs = byId(resources, "jobs.batch");
  if (id === "cronjobs.batch" && jobs) reviews.trigger = ["create", jobs, namespace];
  if (id === "pods")
    Object.assign(reviews, {
      logs: ["get", resource, namespace, "log"],
      exec: ["create", resource, namespace, "exec"],
      forward: ["create", resource, namespace, "portforward"],
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

function Trigger({ object }) {
  const { act, resources } = usePage();
  const jobs = byId(resources, "jobs.batch");
  const carryOut = async () =>
    `Job ${(await actions.trigger(jobs, object, new Date())).metadata.name} is made`;
  return html`<button type="button"
    onClick=${() => act(`Trigger ${object.metadata.name}`, carryOut)}>Trigger</button>`;
}
