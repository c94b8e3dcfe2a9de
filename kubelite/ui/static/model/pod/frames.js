// Messages of exec and attach over a WebSocket, protocol v5.channel.k8s.io: the first byte is the
// channel. Pure.

export const PROTOCOL = "v5.channel.k8s.io";
export const [STDIN, STDOUT, STDERR, ERROR, RESIZE] = [0, 1, 2, 3, 4];

/** Says that no input follows. */
export const CLOSE_STDIN = Uint8Array.of(255, STDIN);

const encoder = new TextEncoder();

export function encode(channel, content) {
  const body = typeof content === "string" ? encoder.encode(content) : content;
  const message = new Uint8Array(body.length + 1);
  message[0] = channel;
  message.set(body, 1);
  return message;
}

export function resize({ cols, rows }) {
  return encode(RESIZE, JSON.stringify({ Width: cols, Height: rows }));
}

/** { channel, content } of a message that came. */
export function decode(buffer) {
  const message = new Uint8Array(buffer);
  return { channel: message[0], content: message.subarray(1) };
}

/** What the Status on the error channel says of the program: { code, message }. */
export function ending(content) {
  const status = JSON.parse(new TextDecoder().decode(content));
  if (status.status === "Success") return { code: 0, message: "The shell has ended." };
  const code = Number(
    status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message ?? 1,
  );
  const message =
    status.reason === "NonZeroExitCode"
      ? `The shell has ended with exit code ${code}.`
      : status.message;
  return { code, message };
}
