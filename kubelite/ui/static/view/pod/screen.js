// A pod as a screen of its own.

import { html } from "../../vendor/preact-htm.js";
import { byId } from "../../model/kinds.js";
import { podState } from "../../model/health.js";
import { format } from "../../model/route.js";
import { useKeys, usePage, useRights } from "../hooks.js";
import { Actions } from "../change/actions.js";
import { useObject } from "../drawer.js";
import { Editor } from "../change/editor.js";
import { Events } from "../events.js";
import { Files } from "./files.js";
import { Logs } from "./logs.js";
import { Nothing, Problem, State, Tabs } from "../parts.js";
import { StartTimeline } from "./start_timeline.js";
import { Summary } from "../summary.js";
import { Shell } from "./terminal.js";

export function PodScreen({ namespace, name }) {
  const { resources, route, go } = usePage();
  const resource = byId(resources, "pods");
  const { object: pod, state } = useObject(resource, { namespace, name });
  const rights = useRights({
    log: ["get", resource, namespace, "log"],
    exec: ["create", resource, namespace, "exec"],
  });
  const tabs = [
    ["overview", "Overview"],
    ...(rights.log ? [["logs", "Logs"]] : []),
    ...(rights.exec ? [["terminal", "Terminal"], ["files", "Files"]] : []),
    ...(byId(resources, "events") ? [["events", "Events"]] : []),
    ["yaml", "YAML"],
  ];
  const tab = tabs.some(([known]) => known === route.tab) ? route.tab : "overview";
  useKeys({
    l: () => rights.log && go({ tab: "logs" }),
    s: () => rights.exec && go({ tab: "terminal" }),
    e: () => tab !== "yaml" && go({ tab: "yaml" }),
  });
  return html`<div class="pod">
    <header class="pod-head">
      <div class="title"><a class="dim"
        href=${format({ screen: "list", resource: "pods", namespace })}>Pods in ${namespace}</a>
        <h1>${name} ${pod && html`<${State} word=${podState(pod)} />`}</h1></div>
      ${pod && html`<${Actions} resource=${resource} object=${pod} />`}
    </header>
    <${Tabs} label="Views of the pod" tabs=${tabs} chosen=${tab}
      choose=${(chosen) => go({ tab: chosen })} />
    ${state.error && html`<${Problem} error=${state.error} />`}
    ${
      pod
        ? html`<div class=${`pod-body ${tab}`} role="tabpanel" aria-label=${tab}><${Body}
          tab=${tab} pod=${pod} resource=${resource} /></div>`
        : html`<${Nothing}>
          ${state.phase === "live" ? "This pod does not exist (any more)." : "Reading …"}
          </${Nothing}>`
    }
  </div>`;
}

function Body({ tab, pod, resource }) {
  if (tab === "logs") return html`<${Logs} pod=${pod} />`;
  if (tab === "terminal") return html`<${Shell} pod=${pod} />`;
  if (tab === "files") return html`<${Files} pod=${pod} />`;
  if (tab === "events") return html`<${Events} metadata=${pod.metadata} />`;
  if (tab === "yaml")
    return html`<${Editor} resource=${resource} opened=${pod.metadata}
      revision=${pod.metadata.resourceVersion} />`;
  return html`<h2 class="sr">Overview</h2><${StartTimeline} pod=${pod} /><${Summary}
    resource=${resource} object=${pod} />`;
}
