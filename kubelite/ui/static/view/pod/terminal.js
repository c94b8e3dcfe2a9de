// A shell in a container: xterm, loaded when it is first needed, over exec on a WebSocket.

import { html, useEffect, useRef, useState } from "../../vendor/preact-htm.js";
import { containersOf } from "../../model/pod/containers.js";
import * as frames from "../../model/pod/frames.js";
import { execAddress } from "../../api/exec.js";
import { usePage } from "../hooks.js";
import { ContainerChoice } from "./container_choice.js";
import { styleByScript } from "./terminal_styles.js";

const SHELL = ["/bin/sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"];
const THEME = {
  background: "#11151c",
  foreground: "#d7dce5",
  cursor: "#8fb4ff",
  selectionBackground: "#3b4a66",
};

export function Shell({ pod }) {
  const { route } = usePage();
  const running = containersOf(pod)
    .filter(({ status }) => status?.state?.running)
    .map(({ spec }) => spec.name);
  const container = running.includes(route.container) ? route.container : running[0];
  const [count, setCount] = useState(0);
  const [ending, setEnding] = useState(null);
  const [readsAloud, setReadsAloud] = useState(false);
  const again = () => {
    setEnding(null);
    setCount(count + 1);
  };
  if (!container) return html`<p class="nothing">No container of this pod is running.</p>`;
  return html`<div class="shell">
    <div class="bar">
      <${ContainerChoice} names=${running} chosen=${container} />
      <button type="button" aria-pressed=${readsAloud}
        onClick=${() => setReadsAloud(!readsAloud)}>Screen reader</button>
      <span class="grow"></span>
      ${
        ending &&
        html`<span role="status">${ending}</span><button type="button" class="primary"
        onClick=${again}>Again</button>`
      }
    </div>
    <${Terminal} key=${`${container} ${count}`} pod=${pod.metadata} container=${container}
      ended=${setEnding} readsAloud=${readsAloud} />
  </div>`;
}

function Terminal({ pod, container, ended, readsAloud }) {
  const box = useRef();
  const terminal = useRef();
  useEffect(() => {
    const stopped = new AbortController();
    start(box.current, { pod, container, ended, stopped: stopped.signal }).then(
      (started) => {
        if (!started) return; // closed before it was loaded
        terminal.current = started;
        started.options.screenReaderMode = readsAloud;
      },
      (error) => ended(error.message),
    );
    return () => stopped.abort();
  }, []);
  useEffect(() => {
    if (terminal.current) terminal.current.options.screenReaderMode = readsAloud;
  }, [readsAloud]);
  return html`<div class="terminal" ref=${box} data-terminal></div>`;
}

async function start(box, { pod, container, ended, stopped }) {
  const [{ Terminal: Xterm }, { FitAddon }] = await Promise.all([
    import("../../vendor/xterm.js"),
    import("../../vendor/xterm-fit.js"),
    styles(),
  ]);
  styleByScript(document);
  if (stopped.aborted) return null;
  const terminal = new Xterm({
    fontSize: 13,
    fontFamily: "ui-monospace, monospace",
    theme: THEME,
    cursorBlink: false,
    scrollback: 5000,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(box);
  fit.fit();
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(box);
  const socket = connect(terminal, { pod, container, ended });
  stopped.addEventListener("abort", () => {
    observer.disconnect();
    socket.close();
    terminal.dispose();
  });
  terminal.focus();
  return terminal;
}

function connect(terminal, { pod, container, ended }) {
  const streams = { stdin: "true", stdout: "true", tty: "true" };
  const address = execAddress(pod, { container, command: SHELL, ...streams });
  const socket = new WebSocket(address, [frames.PROTOCOL]);
  socket.binaryType = "arraybuffer";
  let reason = "The connection was closed.";
  const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(message);
  socket.onopen = () => send(frames.resize(terminal));
  socket.onmessage = ({ data }) => {
    const { channel, content } = frames.decode(data);
    if (channel === frames.STDOUT || channel === frames.STDERR) terminal.write(content);
    if (channel === frames.ERROR) reason = frames.ending(content).message;
  };
  socket.onclose = () => ended(reason);
  terminal.onData((text) => send(frames.encode(frames.STDIN, text)));
  terminal.onResize((size) => send(frames.resize(size)));
  return socket;
}

/** The style sheet of xterm, loaded once. */
function styles() {
  if (document.querySelector("link[data-xterm]")) return undefined;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("../../vendor/xterm.css", import.meta.url).href;
  link.dataset.xterm = "";
  return new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = () => reject(new Error("the terminal's style sheet did not load"));
    document.head.append(link);
  });
}
