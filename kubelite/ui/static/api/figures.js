// What kubelets say their nodes and pods use, read again and again once somebody has looked at a
// node, for as long as the page is open.

import { EMPTY_HISTORY, withSummary } from "../model/figures.js";
import { getJson } from "./http.js";

const PERIOD_MS = 5000;
const samplers = new Map();

class Sampler {
  constructor(node) {
    this.path = `/api/v1/nodes/${encodeURIComponent(node)}/proxy/stats/summary`;
    this.history = EMPTY_HISTORY;
    this.listeners = new Set();
    this.read();
  }

  async read() {
    try {
      if (!document.hidden)
        this.history = withSummary(this.history, await getJson(this.path), Date.now());
    } catch (error) {
      if (error.code === 403 || error.code === 404) return; // it will not be otherwise
    }
    for (const listener of this.listeners) listener(this.history);
    setTimeout(() => this.read(), PERIOD_MS);
  }
}

/** Calls `listener` with the history of a node now and after each change, until what it returns. */
export function follow(node, listener) {
  if (!samplers.has(node)) samplers.set(node, new Sampler(node));
  const sampler = samplers.get(node);
  sampler.listeners.add(listener);
  listener(sampler.history);
  return () => sampler.listeners.delete(listener);
}
