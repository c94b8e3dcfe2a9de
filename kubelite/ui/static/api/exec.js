// A command in a container that is run to its end.

import * as frames from "../model/pod/frames.js";
import { podPath } from "./logs.js";
import { socketAddress } from "./watch.js";

const PIECE = 64 * 1024;
const MOST_BUFFERED = 1024 * 1024;

/** Where a command of a container is run over a WebSocket. */
export function execAddress(pod, { container, command, ...streams }) {
  const words = new URLSearchParams({ container, ...streams });
  for (const word of command) words.append("command", word);
  return socketAddress(`${podPath(pod)}/exec?${words}`);
}

/**
 * Runs a command, with a Blob as its input where one is given. Resolves to a Blob of its output;
 * throws an error with what it wrote to stderr where it does not end with 0.
 */
export function run(pod, { container, command, input }) {
  const streams = { stdout: "true", stderr: "true", ...(input ? { stdin: "true" } : {}) };
  const address = execAddress(pod, { container, command, ...streams });
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address, [frames.PROTOCOL]);
    socket.binaryType = "arraybuffer";
    const [output, errors] = [[], []];
    let end = null;
    socket.onopen = () => input && send(socket, input).catch(reject);
    socket.onmessage = ({ data }) => {
      const { channel, content } = frames.decode(data);
      if (channel === frames.STDOUT) output.push(content);
      if (channel === frames.STDERR) errors.push(content);
      if (channel === frames.ERROR) end = frames.ending(content);
    };
    socket.onclose = async () => {
      const said = (await new Blob(errors).text()).trim();
      if (end?.code === 0) resolve(new Blob(output));
      else reject(new Error(said || end?.message || "the connection was closed"));
    };
  });
}

async function send(socket, input) {
  for (let from = 0; from < input.size; from += PIECE) {
    const piece = await input.slice(from, from + PIECE).arrayBuffer();
    while (socket.bufferedAmount > MOST_BUFFERED)
      await new Promise((ready) => setTimeout(ready, 5));
    socket.send(frames.encode(frames.STDIN, new Uint8Array(piece)));
  }
  socket.send(frames.CLOSE_STDIN);
}
