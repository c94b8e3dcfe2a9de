// The frame around every screen: top bar, side bar, drawer, dialogs, keys that work everywhere.

import { html, useMemo, useState } from "../vendor/preact-htm.js";
import { byId, sections } from "../model/kinds.js";
import { format, parseOpen } from "../model/route.js";
import { Page, useCollection, useKeys, usePage, useRoute } from "./hooks.js";
import { Drawer } from "./drawer.js";
import { Help } from "./help.js";
import { ListScreen } from "./list.js";
import { Overview } from "./overview.js";
import { Palette } from "./palette.js";
import { later } from "./later.js";
import { Toasts, useToasts } from "./toasts.js";
import { changeTheme, theme } from "./theme.js";

const ICON = new URL("../icon.svg", import.meta.url).href;

const Create = later(() => import("./change/create.js"), "Create");
const PodScreen = later(() => import("./pod/screen.js"), "PodScreen");
const Topology = later(() => import("./topology.js"), "Topology");

export function Frame({ info, resources }) {
  const [route, go] = useRoute();
  const [dialog, setDialog] = useState("");
  const [showsSide, setShowsSide] = useState(false);
  const { toasts, drop, act, tell } = useToasts();
  const page = { info, resources, route, go, act, tell };
  useKeys({
    ":": () => setDialog("palette"),
    "?": () => setDialog("help"),
    "/": () => document.querySelector("[data-filter]")?.focus(),
  });
  const opened = parseOpen(route.open);
  return html`<${Page.Provider} value=${page}>
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    }}>Skip to content</a>
    <${TopBar} openPalette=${() => setDialog("palette")} openHelp=${() => setDialog("help")}
      toggleSide=${() => setShowsSide(!showsSide)} showsSide=${showsSide} />
    <${SideBar} isOpen=${showsSide} close=${() => setShowsSide(false)} />
    <main id="main" tabindex="-1"><${Screen}
      key=${`${route.screen} ${route.resource} ${route.name}`} /></main>
    ${
      opened &&
      byId(resources, opened.resource) &&
      html`<${Drawer} key=${route.open}
      opened=${opened} />`
    }
    ${dialog === "palette" && html`<${Palette} close=${() => setDialog("")} />`}
    ${dialog === "help" && html`<${Help} close=${() => setDialog("")} />`}
    <${Toasts} toasts=${toasts} drop=${drop} />
  </${Page.Provider}>`;
}

function Screen() {
  const { route, resources } = usePage();
  if (route.screen === "pod")
    return html`<${PodScreen} namespace=${route.namespace} name=${route.name} />`;
  if (route.screen === "create") return html`<${Create} />`;
  if (route.screen === "topology") return html`<${Topology} />`;
  if (route.screen === "overview") return html`<${Overview} />`;
  const resource = byId(resources, route.resource);
  if (!resource)
    return html`<h1 class="sr">No such kind</h1>
      <p class="problem" role="alert">The server has no kind ${route.resource}.</p>`;
  return html`<${ListScreen} resource=${resource} />`;
}

function TopBar({ openPalette, openHelp, toggleSide, showsSide }) {
  const [chosen, setChosen] = useState(theme());
  return html`<header class="top">
    <button type="button" class="quiet menu" aria-label="Kinds" aria-expanded=${showsSide}
      onClick=${toggleSide}>☰</button>
    <a class="brand" href="#/overview"><img src=${ICON} alt="" width="20"
      height="20" />kubelite</a>
    <${Where} />
    <${Namespaces} />
    <span class="grow"></span>
    <button type="button" class="go" onClick=${openPalette}>Go to kind <kbd>:</kbd></button>
    <button type="button" class="quiet" title="Light, dark or as the system"
      onClick=${() => setChosen(changeTheme())}>Theme: ${chosen}</button>
    <button type="button" class="quiet" aria-label="Keyboard and help"
      onClick=${openHelp}>?</button>
  </header>`;
}

function Where() {
  const { info } = usePage();
  const place = info.mode === "local" ? "this machine, no cluster" : info.context;
  return html`<span class="where" title=${`${info.server}, kubelite ${info.version}`}>${place}
    </span>`;
}

function Namespaces() {
  const { route, go, resources } = usePage();
  const state = useCollection(byId(resources, "namespaces") ? "/api/v1/namespaces" : "");
  const names = [...state.rows.keys()].sort();
  const chosen = route.namespace ?? "";
  if (chosen && !names.includes(chosen)) names.push(chosen);
  const choose = ({ target: { value } }) =>
    go(
      route.screen === "pod"
        ? { screen: "list", resource: "pods", namespace: value }
        : { namespace: value },
    );
  return html`<label class="namespace"><span class="sr">Namespace</span>
    ${
      state.phase === "failed"
        ? html`<input value=${chosen} placeholder="namespace" onChange=${choose} />`
        : html`<select value=${chosen} onChange=${choose}><option value="">All namespaces</option>
        ${names.map(
          (name) => html`<option key=${name} value=${name} selected=${name === chosen}>
          ${name}</option>`,
        )}</select>`
    }
  </label>`;
}

function SideBar({ isOpen, close }) {
  const { route, resources } = usePage();
  const shown = useMemo(() => sections(resources), [resources]);
  const { namespace } = route;
  const link = (
    target,
    title,
    isCurrent,
  ) => html`<a key=${title} href=${format({ namespace, ...target })}
    aria-current=${isCurrent ? "page" : undefined} onClick=${close}>${title}</a>`;
  return html`<nav class=${`side ${isOpen ? "open" : ""}`} aria-label="Kinds">
    ${link({ screen: "overview" }, "Overview", route.screen === "overview")}
    ${link({ screen: "topology" }, "Topology", route.screen === "topology")}
    ${shown.map(
      ({ title, resources: members }) => html`<section key=${title}><h2>${title}</h2>
      ${members.map((resource) =>
        link({ screen: "list", resource: resource.id }, plural(resource), isShown(route, resource)),
      )}
    </section>`,
    )}
  </nav>`;
}

function isShown(route, { id }) {
  return route.screen === "list" ? route.resource === id : route.screen === "pod" && id === "pods";
}

/** "NetworkPolicies" from the kind and the plural's ending. */
export function plural({ kind, plural: name }) {
  const stem = kind.toLowerCase();
  if (name.startsWith(stem)) return kind + name.slice(stem.length);
  if (stem.endsWith("y") && name === `${stem.slice(0, -1)}ies`) return `${kind.slice(0, -1)}ies`;
  return kind;
}
