// The log of a container as pieces of text.

import { request, withQuery } from "./http.js";
import { socketAddress } from "./watch.js";

const TAIL = 2000;

export function podPath({ namespace, name }) {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
}

function logPath(pod) {
  return `${podPath(pod)}/log`;
}

/**
 * Calls `piece` with text until the log ends; a follower takes a WebSocket, so as to hold no HTTP
 * connection.
 */
export async function readLog(pod, { container, previous, follow, timestamps }, { signal, piece }) {
  const words = {
    container,
    previous: previous || "",
    timestamps: timestamps || "",
    tailLines: TAIL,
  };
  if (!follow) {
    piece(await (await request(withQuery(logPath(pod), words), { accept: "*/*", signal })).text());
    return;
  }
  // A browser does not say why a WebSocket was refused; a plain request does.
  await request(withQuery(logPath(pod), { ...words, tailLines: 1 }), { accept: "*/*", signal });
  await followLog(withQuery(logPath(pod), { ...words, follow: true }), signal, piece);
}

function followLog(path, signal, piece) {
  return new Promise((resolve) => {
    const decoder = new TextDecoder();
    const socket = new WebSocket(socketAddress(path), ["binary.k8s.io"]);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => piece(decoder.decode(data, { stream: true }));
    socket.onclose = resolve;
    signal.addEventListener("abort", () => {
      socket.close();
      resolve();
    });
  });
}
