// A list that stays true: listed in pages, then watched, taken up again when the connection is
// lost, listed anew after a 410.

import { EMPTY, withConnection, withEvents, withLoss, withPage } from "../model/watch.js";
import { path } from "../model/kinds.js";
import { getJson, JSON_TYPE, TABLE_TYPE, withQuery } from "./http.js";
import { watchEvents } from "./watch.js";

const [FIRST_PAGE, PAGE] = [100, 500]; // the first rows are shown soon
const GATHER_MS = 30; // events of so long are shown in one step
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [300, 10_000];

export class Collection {
  /** `changed` is called with the state after each change of it. */
  constructor(path, { asTable = false, selectors = {}, changed }) {
    this.path = path;
    this.asTable = asTable;
    this.selectors = selectors;
    this.changed = changed;
    this.state = EMPTY;
    this.gathered = [];
    this.aborter = new AbortController();
  }

  start() {
    this.run().catch((error) => {
      if (!this.aborter.signal.aborted) throw error;
    });
    return this;
  }

  stop() {
    this.aborter.abort();
    clearTimeout(this.timer);
  }

  async run() {
    const { signal } = this.aborter;
    for (let failures = 0; !signal.aborted;) {
      try {
        if (!this.state.revision || this.state.phase === "expired") await this.list();
        await this.watch(() => {
          failures = 0;
        });
        failures += 1;
      } catch (error) {
        if (signal.aborted) return;
        this.flush();
        if (error.code === 410) this.set({ ...this.state, phase: "expired" });
        else this.set(withLoss(this.state, error.message));
        failures += 1;
      }
      if (failures > 1 || this.state.phase !== "expired") await pause(failures, signal);
    }
  }

  async list() {
    const accept = this.asTable ? TABLE_TYPE : JSON_TYPE;
    let next = "";
    do {
      const limit = next ? PAGE : FIRST_PAGE;
      const page = withQuery(this.path, { ...this.selectors, limit, continue: next });
      const answer = await (take(accept, page) ??
        getJson(page, { accept, signal: this.aborter.signal }));
      this.set(withPage(this.state, answer, { first: !next }));
      next = answer.metadata?.continue ?? "";
    } while (next);
  }

  async watch(succeeded) {
    const words = {
      ...this.selectors,
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: this.state.revision,
    };
    const opened = () => {
      succeeded();
      this.set(withConnection(this.state));
    };
    const { signal } = this.aborter;
    for await (const events of watchEvents(withQuery(this.path, words), {
      asTable: this.asTable,
      signal,
      opened,
    })) {
      this.gathered.push(...events);
      this.timer ??= setTimeout(() => this.flush(), GATHER_MS);
    }
    this.flush();
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.gathered.length) this.set(withEvents(this.state, this.gathered.splice(0)));
  }

  set(state) {
    if (this.aborter.signal.aborted || state === this.state) return;
    this.state = state;
    this.changed(state);
  }
}

const ahead = new Map(); // answers by type and path, each for the first who asks

/**
 * Asks for the first rows of a list of the core group before it is known which kinds there are: how
 * such a list is reached is the same everywhere.
 */
export function listAhead({ screen, resource, namespace = "" }) {
  if (screen !== "list" || !/^[a-z]+$/.test(resource)) return;
  const core = { plural: resource, group: "", version: "v1", namespaced: true };
  const first = withQuery(path(core, { namespace }), { limit: FIRST_PAGE });
  const answer = getJson(first, { accept: TABLE_TYPE });
  answer.catch(() => {}); // whoever takes it is told
  ahead.set(`${TABLE_TYPE} ${first}`, answer);
}

function take(accept, page) {
  const key = `${accept} ${page}`;
  const answer = ahead.get(key);
  ahead.delete(key);
  return answer;
}

/** Longer after each failure, and not in step with other clients. */
async function pause(failures, signal) {
  if (!failures) return;
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 8));
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
