// An object beside the screen it was opened from.

import { html, useEffect, useRef } from "../vendor/preact-htm.js";
import { byId, path } from "../model/kinds.js";
import { useCollection, usePage } from "./hooks.js";
import { Actions } from "./change/actions.js";
import { Events } from "./events.js";
import { later } from "./later.js";
import { Nothing, Problem, Tabs } from "./parts.js";
import { Summary } from "./summary.js";

const Editor = later(() => import("./change/editor.js"), "Editor");
const TABS = [
  ["summary", "Summary"],
  ["yaml", "YAML"],
  ["events", "Events"],
];

/** The live state of one object: a collection of one. */
export function useObject(resource, { namespace, name }) {
  const state = useCollection(path(resource, { namespace }), {
    selectors: { fieldSelector: `metadata.name=${name}` },
  });
  const row = [...state.rows.values()][0];
  return { object: row && withType(row.object, resource), state };
}

/** Items of a list do not carry their type. */
function withType(object, { group, version, kind }) {
  return { apiVersion: group ? `${group}/${version}` : version, kind, ...object };
}

export function Drawer({ opened }) {
  const { resources, route, go } = usePage();
  const resource = byId(resources, opened.resource);
  const { object, state } = useObject(resource, opened);
  const tab = TABS.some(([name]) => name === route.tab) ? route.tab : "summary";
  const element = useRef();
  const close = () => go({ open: "", tab: "" });
  useEffect(() => {
    const before = document.activeElement;
    element.current.focus({ preventScroll: true });
    return () => before?.isConnected && before.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    const listen = (event) => {
      if (
        event.key === "Escape" &&
        !event.defaultPrevented &&
        !document.querySelector("dialog[open]")
      )
        close();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
  const shownTabs = resources.some(({ id }) => id === "events") ? TABS : TABS.slice(0, 2);
  return html`<aside class="drawer" ref=${element} tabindex="-1"
    aria-label=${`${resource.kind} ${opened.name}`}>
    <header>
      <div class="title"><span class="dim">${resource.kind}
        ${opened.namespace ? ` in ${opened.namespace}` : ""}</span><h2>${opened.name}</h2></div>
      <button type="button" class="quiet" aria-label="Close" onClick=${close}>✕</button>
    </header>
    ${object && html`<${Actions} resource=${resource} object=${object} />`}
    <${Tabs} label="Views of the object" tabs=${shownTabs} chosen=${tab}
      choose=${(name) => go({ tab: name })} />
    ${state.error && html`<${Problem} error=${state.error} />`}
    <div class="body" role="tabpanel" aria-label=${tab} tabindex="0">
      ${body({ tab, resource, object, opened, state })}</div>
  </aside>`;
}

function body({ tab, resource, object, opened, state }) {
  if (!object)
    return html`<${Nothing}>
      ${state.phase === "live" ? "This object does not exist (any more)." : "Reading …"}
      </${Nothing}>`;
  if (tab === "yaml")
    return html`<${Editor} resource=${resource} opened=${opened}
      revision=${object.metadata.resourceVersion} />`;
  if (tab === "events") return html`<${Events} metadata=${object.metadata} />`;
  return html`<${Summary} resource=${resource} object=${object} />`;
}
