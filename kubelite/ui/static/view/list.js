// A list of one kind: the server's own columns, live, filtered and sorted here.

import { html, useMemo, useState } from "../vendor/preact-htm.js";
import { isShown, parseFilter, sorted } from "../model/filter.js";
import { path } from "../model/kinds.js";
import { format, formatOpen } from "../model/route.js";
import { Bulk, bulkQuestions, hasBulk } from "./change/bulk.js";
import { useCollection, useKeys, usePage, useRights } from "./hooks.js";
import { plural } from "./frame.js";
import { Nothing, Problem } from "./parts.js";
import { Table } from "./table.js";

const PHASES = {
  loading: "reading",
  live: "live",
  stale: "reconnecting",
  expired: "reading again",
  failed: "not reachable",
};

export function ListScreen({ resource }) {
  const { route, go } = usePage();
  const namespace = resource.namespaced ? (route.namespace ?? "") : "";
  const state = useCollection(path(resource, { namespace }), { asTable: true });
  const [isWide, setIsWide] = useState(false);
  const rights = useRights({
    create: ["create", resource, namespace],
    ...bulkQuestions(resource, namespace),
  });
  const [picked, setPicked] = useState(new Set());
  const pickedRows = [...picked].map((key) => state.rows.get(key)).filter(Boolean); // not deleted
  const creation = { screen: "create", kind: resource.id, namespace: route.namespace };
  useKeys({ c: () => rights.create && go(creation) });
  const filterText = route.filter ?? "";
  const order = parseOrder(route.sort);
  const columns = useMemo(
    () => columnsOf(state.columns, { isWide, withNamespace: resource.namespaced && !namespace }),
    [state.columns, isWide, namespace],
  );
  const rows = useMemo(() => {
    const filter = parseFilter(filterText);
    const shown = [...state.rows.values()].filter((row) => isShown(row, filter));
    return sorted(shown, order ?? { column: "name" });
  }, [state.rows, filterText, route.sort]);
  const open = (row) => go({ open: formatOpen({ resource: resource.id, ...row.metadata }) });
  return html`<div class="list">
    <div class="bar">
      <h1>${plural(resource)}</h1>
      <span class="count" data-count=${rows.length}>${countWords(rows.length, state.rows.size)}
        </span>
      <span class=${`live ${state.phase}`} role="status"><span class="dot" aria-hidden="true">
        </span>${PHASES[state.phase]}</span>
      <span class="grow"></span>
      <label class="filter"><span class="sr">Filter</span>
        <input data-filter type="search" placeholder="Filter: words, app=web" autocomplete="off"
          spellcheck=${false} value=${filterText}
          onInput=${(event) => go({ filter: event.target.value })}
          onKeyDown=${(event) => ["Escape", "Enter"].includes(event.key) && event.target.blur()} />
            <kbd aria-hidden="true">/</kbd></label>
      <button type="button" aria-pressed=${isWide}
        onClick=${() => setIsWide(!isWide)}>All columns</button>
      ${rights.create && html`<a class="button" href=${format(creation)}>Create <kbd>c</kbd></a>`}
    </div>
    ${state.error && html`<${Problem} error=${state.error} />`}
    <${Bulk} resource=${resource} rights=${rights}
      places=${pickedRows.map(({ metadata }) => metadata)} clear=${() => setPicked(new Set())} />
    ${
      columns &&
      html`<${Table} label=${plural(resource)} columns=${columns} rows=${rows} order=${order}
        generation=${state.generation} open=${open} opened=${route.open}
      sort=${(column) => go({ sort: nextOrder(order, column) })} keys=${rowKeys(resource, go)}
        resource=${resource} picked=${picked}
        pick=${hasBulk(resource, rights) ? setPicked : undefined} />`
    }
    ${
      state.phase !== "loading" &&
      rows.length === 0 &&
      !state.error &&
      html`<${Nothing}>
      ${state.rows.size ? "No object passes the filter." : noneWords(resource, namespace)}
      </${Nothing}>`
    }
  </div>`;
}

/** What keys do with the row that is chosen. */
function rowKeys(resource, go) {
  const edit = ({ metadata }) =>
    go({ open: formatOpen({ resource: resource.id, ...metadata }), tab: "yaml" });
  if (resource.id !== "pods") return { e: edit };
  const visit =
    (tab) =>
    ({ metadata }) =>
      go({ screen: "pod", namespace: metadata.namespace, name: metadata.name, tab });
  return { e: edit, l: visit("logs"), s: visit("terminal") };
}

/** { index, name, title } of what is shown; index is the place in the cells. */
function columnsOf(definitions, { isWide, withNamespace }) {
  if (!definitions) return null;
  const columns = definitions.map(({ name, priority, description }, index) => ({
    index,
    name,
    priority,
    description,
  }));
  const shown = columns.filter(({ priority }) => isWide || !priority);
  const namespace = { index: "namespace", name: "Namespace", description: "" };
  return withNamespace ? [shown[0], namespace, ...shown.slice(1)] : shown;
}

function noneWords(resource, namespace) {
  return `There are no ${plural(resource)}${namespace ? ` in ${namespace}` : ""}.`;
}

function countWords(shown, all) {
  return shown === all ? String(all) : `${shown} of ${all}`;
}

/** "-age" sorts by age, the greatest first. */
function parseOrder(text) {
  if (!text) return null;
  const descending = text.startsWith("-");
  const name = descending ? text.slice(1) : text;
  return { column: /^\d+$/.test(name) ? Number(name) : name, descending };
}

function nextOrder(order, column) {
  if (order?.column !== column) return String(column);
  return order.descending ? "" : `-${column}`;
}
