// The log of a container, or of all of them: follow, previous run, search, wrap, times, download.
// Only the lines in view exist.

import { html, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/preact-htm.js";
import { visibleRange } from "../../model/filter.js";
import { containersOf } from "../../model/pod/containers.js";
import { marked, matchingLines } from "../../model/pod/logs.js";
import { download } from "../download.js";
import { usePage } from "../hooks.js";
import { ContainerChoice } from "./container_choice.js";
import { Nothing, Problem } from "../parts.js";
import { useLogs } from "./use_logs.js";

const LINE_HEIGHT = 18;
const ALL = "*"; // no container is called that
const MOST_WRAPPED = 2000; // wrapped lines have no one height: the last of them exist all

export function Logs({ pod }) {
  const { route } = usePage();
  const names = containersOf(pod).map(({ spec }) => spec.name);
  const choices = names.length > 1 ? [...names, ALL] : names;
  const chosen = choices.includes(route.container) ? route.container : pod.spec.containers[0].name;
  const [previous, setPrevious] = useState(false);
  const [follows, setFollows] = useState(true);
  const [wraps, setWraps] = useState(false);
  const [times, setTimes] = useState(false);
  const [search, setSearch] = useState("");
  const { lines, error } = useLogs(pod.metadata, {
    containers: chosen === ALL ? names : [chosen],
    previous,
    follow: follows && !previous,
    times,
  });
  const matches = useMemo(() => matchingLines(lines, search), [lines, search]);
  const toggle = (title, value, set) =>
    html`<button type="button" aria-pressed=${value} onClick=${() => set(!value)}>${title}
      </button>`;
  return html`<div class="logs">
    <div class="bar">
      <${ContainerChoice} names=${choices} chosen=${chosen} titles=${{ [ALL]: "All containers" }} />
      ${toggle("Follow", follows && !previous, setFollows)}
        ${toggle("Previous run", previous, setPrevious)}${toggle("Wrap", wraps, setWraps)}
        ${toggle("Times", times, setTimes)}
      <span class="grow"></span>
      <label class="filter"><span class="sr">Search the log</span><input data-filter type="search"
        placeholder="Search" value=${search}
        onInput=${(event) => setSearch(event.target.value)} /></label>
      ${search && html`<span class="dim" role="status">${matches.length} lines</span>`}
      <button type="button"
        onClick=${() => download(fileName(pod.metadata.name, chosen), asText(lines))}
        >Download</button>
    </div>
    ${error && html`<${Problem} error=${error} />`}
    <${Lines} lines=${lines} numbers=${search ? matches : null} search=${search}
      follows=${follows} wraps=${wraps} />
  </div>`;
}

function Lines({ lines, numbers, search, follows, wraps }) {
  const box = useRef();
  const [view, setView] = useState({ top: 0, height: 600 });
  const count = numbers ? numbers.length : lines.length;
  const measure = () => setView({ top: box.current.scrollTop, height: box.current.clientHeight });
  useLayoutEffect(() => {
    if (follows && !search) box.current.scrollTop = box.current.scrollHeight;
    measure();
  }, [lines, follows, wraps, search]);
  const all = { first: Math.max(0, count - MOST_WRAPPED), last: count };
  const { first, last } = wraps ? all : visibleRange({ ...view, rowHeight: LINE_HEIGHT, count });
  const shown = [];
  for (let index = first; index < last; index += 1) {
    const number = numbers ? numbers[index] : index;
    shown.push(
      html`<div class="log-line" key=${number}><span class="number" aria-hidden="true">
        ${number + 1}</span><span class="text">
        ${marked(lines[number], search).map(([text, isMatch]) =>
          isMatch
            ? html`<mark>${text}
        </mark>`
            : text,
        )}</span></div>`,
    );
  }
  return html`<div class=${`log-lines ${wraps ? "wraps" : ""}`} ref=${box} tabindex="0" role="log"
    aria-live="off" aria-label="Log" onScroll=${measure}>
    <div style=${{ height: wraps ? 0 : `${first * LINE_HEIGHT}px` }}></div>${shown}
    <div style=${{ height: wraps ? 0 : `${(count - last) * LINE_HEIGHT}px` }}></div>
    ${
      count === 0 &&
      html`<${Nothing}>
      ${search ? "No line contains this." : "Nothing has been written."}</${Nothing}>`
    }
  </div>`;
}

function fileName(pod, chosen) {
  return chosen === ALL ? `${pod}.log` : `${pod}-${chosen}.log`;
}

function asText(lines) {
  return new Blob([`${lines.join("\n")}\n`], { type: "text/plain" });
}
