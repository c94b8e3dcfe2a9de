// The log of a container: follow, previous run, search, wrap, download. Only the lines in view
// exist.

import {
  html,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../../vendor/preact-htm.js";
import { readLog } from "../../api/logs.js";
import { visibleRange } from "../../model/filter.js";
import { containersOf } from "../../model/pod/containers.js";
import {
  EMPTY_LOG,
  marked,
  matchingLines,
  plain,
  withEnd,
  withPiece,
} from "../../model/pod/logs.js";
import { download } from "../download.js";
import { usePage } from "../hooks.js";
import { ContainerChoice } from "./container_choice.js";
import { Nothing, Problem } from "../parts.js";

const LINE_HEIGHT = 18;
const GATHER_MS = 50;
const MOST_WRAPPED = 2000; // wrapped lines have no one height: the last of them exist all

export function Logs({ pod }) {
  const { route } = usePage();
  const names = containersOf(pod).map(({ spec }) => spec.name);
  const container = names.includes(route.container) ? route.container : pod.spec.containers[0].name;
  const [previous, setPrevious] = useState(false);
  const [follows, setFollows] = useState(true);
  const [wraps, setWraps] = useState(false);
  const [search, setSearch] = useState("");
  const { log, error } = useLog(pod.metadata, {
    container,
    previous,
    follow: follows && !previous,
  });
  const matches = useMemo(() => matchingLines(log.lines, search), [log.lines, search]);
  const toggle = (title, value, set) =>
    html`<button type="button" aria-pressed=${value} onClick=${() => set(!value)}>${title}
      </button>`;
  return html`<div class="logs">
    <div class="bar">
      <${ContainerChoice} names=${names} chosen=${container} />
      ${toggle("Follow", follows && !previous, setFollows)}
        ${toggle("Previous run", previous, setPrevious)}${toggle("Wrap", wraps, setWraps)}
      <span class="grow"></span>
      <label class="filter"><span class="sr">Search the log</span><input data-filter type="search"
        placeholder="Search" value=${search}
        onInput=${(event) => setSearch(event.target.value)} /></label>
      ${search && html`<span class="dim" role="status">${matches.length} lines</span>`}
      <button type="button"
        onClick=${() => download(`${pod.metadata.name}-${container}.log`, asText(log.lines))}
        >Download</button>
    </div>
    ${error && html`<${Problem} error=${error} />`}
    <${Lines} lines=${log.lines} numbers=${search ? matches : null} search=${search}
      follows=${follows} wraps=${wraps} />
  </div>`;
}

function useLog({ namespace, name, uid }, options) {
  const [log, setLog] = useState(EMPTY_LOG);
  const [error, setError] = useState(null);
  useEffect(() => {
    const aborter = new AbortController();
    let [current, timer] = [EMPTY_LOG, null];
    const show = () => {
      timer = null;
      setLog(current);
    };
    const piece = (text) => {
      if (aborter.signal.aborted) return;
      current = withPiece(current, plain(text));
      timer ??= setTimeout(show, GATHER_MS);
    };
    setLog(EMPTY_LOG);
    setError(null);
    readLog({ namespace, name }, options, { signal: aborter.signal, piece }).then(
      () => {
        current = withEnd(current);
        if (!aborter.signal.aborted) show();
      },
      (problem) => !aborter.signal.aborted && setError(problem),
    );
    return () => {
      aborter.abort();
      clearTimeout(timer);
    };
  }, [uid, options.container, options.previous, options.follow]);
  return { log, error };
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

function asText(lines) {
  return new Blob([`${lines.join("\n")}\n`], { type: "text/plain" });
}
