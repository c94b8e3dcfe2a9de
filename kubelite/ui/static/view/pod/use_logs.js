// The lines of one container's log, or of several as one.

import { useEffect, useMemo, useState } from "../../vendor/preact-htm.js";
import { readLog } from "../../api/logs.js";
import { EMPTY_LOG, interleaved, plain, withEnd, withPiece } from "../../model/pod/logs.js";

const GATHER_MS = 50;
const NONE = {};

/**
 * { lines, error } of containers' logs, live while `follow`. A container that has no log yet is an
 * error only where no other has one.
 */
export function useLogs({ namespace, name, uid }, { containers, previous, follow, times }) {
  const [logs, setLogs] = useState(NONE);
  const [errors, setErrors] = useState([]);
  const isMany = containers.length > 1;
  useEffect(() => {
    const aborter = new AbortController();
    const { signal } = aborter;
    let [current, timer] = [NONE, null];
    const show = () => {
      timer = null;
      if (!signal.aborted) setLogs(current);
    };
    const change = (container, step) => {
      current = { ...current, [container]: step(current[container] ?? EMPTY_LOG) };
      timer ??= setTimeout(show, GATHER_MS);
    };
    setLogs(NONE);
    setErrors([]);
    for (const container of containers) {
      const options = { container, previous, follow, timestamps: times || isMany };
      const piece = (text) => change(container, (log) => withPiece(log, plain(text)));
      readLog({ namespace, name }, options, { signal, piece }).then(
        () => change(container, withEnd),
        (problem) => !signal.aborted && setErrors((before) => [...before, problem]),
      );
    }
    return () => {
      aborter.abort();
      clearTimeout(timer);
    };
  }, [uid, containers.join(), previous, follow, times]);
  const lines = useMemo(
    () => (isMany ? interleaved(logs, { times }) : (logs[containers[0]] ?? EMPTY_LOG).lines),
    [logs, isMany, times],
  );
  return { lines, error: errors.length === containers.length ? errors[0] : null };
}
