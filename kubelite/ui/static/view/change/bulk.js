// What can be done with all selected objects of a list at once.

import { html } from "../../vendor/preact-htm.js";
import * as actions from "../../api/actions.js";
import { RESTARTED } from "./actions.js";
import { usePage } from "../hooks.js";

/** The verbs that any of it needs, as questions about the user's rights. */
export function bulkQuestions(resource, namespace) {
  return {
    delete: ["delete", resource, namespace],
    patch: ["patch", resource, namespace],
  };
}

/** Whether rows of a list are worth selecting. */
export function hasBulk({ id }, rights) {
  return Boolean(rights.delete || (rights.patch && choices(id).length));
}

/** [title, change of one object] of what needs the right to patch. */
function choices(id) {
  if (RESTARTED.has(id))
    return [["Restart", (resource, place) => actions.restart(resource, place, new Date())]];
  if (id === "nodes")
    return [
      ["Cordon", (resource, place) => actions.cordon(resource, place, true)],
      ["Uncordon", (resource, place) => actions.cordon(resource, place, false)],
    ];
  if (id === "cronjobs.batch")
    return [
      ["Suspend", (resource, place) => actions.suspend(resource, place, true)],
      ["Resume", (resource, place) => actions.suspend(resource, place, false)],
    ];
  return [];
}

/** `places` are { namespace, name } of the selected objects. */
export function Bulk({ resource, rights, places, clear }) {
  const { act } = usePage();
  if (!places.length) return null;
  const shown = [
    ...(rights.patch ? choices(resource.id) : []),
    ...(rights.delete ? [["Delete", actions.remove]] : []),
  ];
  const start = (title, change) => {
    const what = places.length === 1 ? places[0].name : `${places.length} objects`;
    act(`${title} ${what}`, () => inTurn(places, (place) => change(resource, place)));
    clear();
  };
  return html`<div class="bulk" role="group" aria-label="Actions on the selected">
    <span role="status">${places.length} selected</span>
    ${shown.map(
      ([title, change]) => html`<button type="button" key=${title}
        class=${title === "Delete" ? "danger" : ""} onClick=${() => start(title, change)}
        >${title}</button>`,
    )}
    <button type="button" class="quiet" onClick=${clear}>Clear</button>
  </div>`;
}

const AT_ONCE = 5; // a browser holds six connections to a server

/** All are tried. Throws an error that counts those that were refused, with the first reason. */
async function inTurn(places, change) {
  const waiting = [...places];
  const errors = [];
  const work = async () => {
    for (let place = waiting.shift(); place; place = waiting.shift())
      await change(place).catch((error) => errors.push(error));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (errors.length)
    throw new Error(`${errors.length} of ${places.length} refused: ${errors[0].message}`);
}
