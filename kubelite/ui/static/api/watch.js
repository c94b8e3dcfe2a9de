// The events of a watch as they come.
//
// Plain objects come over a WebSocket: a browser holds six HTTP connections to a server, and each
// watch would take one. A Table has to be asked for by a header, which a WebSocket of a browser
// cannot carry; it comes as lines of a long answer.

import { request, TABLE_TYPE, JSON_TYPE } from "./http.js";

/** Events, in batches. Ends when the server ends it; throws when it cannot be reached. */
export function watchEvents(path, { asTable, signal, opened }) {
  return asTable ? overLines(path, TABLE_TYPE, signal, opened) : overSocket(path, signal, opened);
}

async function* overLines(path, accept, signal, opened) {
  const answer = await request(path, { accept, signal });
  opened();
  let rest = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const lines = (rest + piece.value).split("\n");
    rest = lines.pop();
    const events = lines.filter(Boolean).map((line) => JSON.parse(line));
    if (events.length) yield events;
  }
}

async function* overSocket(path, signal, opened) {
  const socket = new WebSocket(socketAddress(path));
  const waiting = [];
  let [wake, isOpen, isClosed] = [() => {}, false, false];
  socket.onopen = () => {
    isOpen = true;
    opened();
  };
  socket.onmessage = ({ data }) => {
    waiting.push(JSON.parse(data));
    wake();
  };
  socket.onclose = () => {
    isClosed = true;
    wake();
  };
  signal.addEventListener("abort", () => socket.close());
  if (signal.aborted) socket.close();
  while (!isClosed || waiting.length) {
    if (waiting.length) yield waiting.splice(0);
    else
      await new Promise((resolve) => {
        wake = resolve;
      });
  }
  signal.throwIfAborted();
  if (isOpen) return;
  // A browser does not say why a WebSocket was refused; a plain request does.
  yield* overLines(path, JSON_TYPE, signal, opened);
}

export function socketAddress(path) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address;
}
