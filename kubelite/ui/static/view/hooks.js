// What the views share: live collections, the time, the user's rights, keys, the place in the page.

import { createContext, useContext, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { Collection } from "../api/collection.js";
import { may } from "../api/rights.js";
import { EMPTY } from "../model/watch.js";
import { format, parse } from "../model/route.js";

const REVIEW_AGAIN_MS = 1000;

/** { info, resources, route, go, act, tell } */
export const Page = createContext(null);

export function usePage() {
  return useContext(Page);
}

/** The state of a collection that lives as long as the view shows this path; path "" is none. */
export function useCollection(path, { asTable = false, selectors = {} } = {}) {
  const [state, setState] = useState(EMPTY);
  const identity = JSON.stringify([path, asTable, selectors]);
  const [shown, setShown] = useState(identity);
  useEffect(() => {
    setState(EMPTY);
    setShown(identity);
    if (!path) return undefined;
    const collection = new Collection(path, { asTable, selectors, changed: setState }).start();
    return () => collection.stop();
  }, [identity]);
  return shown === identity ? state : EMPTY;
}

/** Milliseconds since the epoch, again each second. */
export function useNow(period = 1000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), period);
    return () => clearInterval(timer);
  }, [period]);
  return now;
}

/**
 * Which of the named questions are allowed: { name: true }. A question is [verb, resource,
 * namespace, subresource]; a name
 * without an answer yet, or with a refusal, is not in it.
 */
export function useRights(questions) {
  const [rights, setRights] = useState({});
  const identity = JSON.stringify(
    Object.entries(questions).map(([name, [verb, resource, ...rest]]) => [
      name,
      verb,
      resource.id,
      rest,
    ]),
  );
  useEffect(() => {
    let isCurrent = true;
    setRights({});
    // A review that fails allows nothing, and is asked for again: connections may break.
    const ask = (name, question) => {
      if (!isCurrent) return;
      may(...question).then(
        (allowed) => isCurrent && allowed && setRights((before) => ({ ...before, [name]: true })),
        () => setTimeout(ask, REVIEW_AGAIN_MS, name, question),
      );
    };
    for (const [name, question] of Object.entries(questions)) ask(name, question);
    return () => {
      isCurrent = false;
    };
  }, [identity]);
  return rights;
}

/**
 * What `load` resolves to: { value, error }; loaded again when the identity changes, the old value
 * kept meanwhile.
 */
export function useLoaded(load, identity) {
  const [result, setResult] = useState({});
  useEffect(() => {
    let isCurrent = true;
    load().then(
      (value) => isCurrent && setResult({ value }),
      (error) => isCurrent && setResult((before) => ({ ...before, error })),
    );
    return () => {
      isCurrent = false;
    };
  }, identity);
  return result;
}

/**
 * Keys pressed outside of fields and dialogs, and outside of what `except` selects: { key: action
 * }.
 */
export function useKeys(actions, except = "") {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const listen = (event) => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.defaultPrevented ||
        isTyping(event.target)
      )
        return;
      if (except && event.target.closest?.(except)) return;
      const action = latest.current[event.key];
      if (!action) return;
      event.preventDefault();
      action(event);
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
}

function isTyping(target) {
  return Boolean(target.closest?.("input, textarea, select, dialog, .xterm, [contenteditable]"));
}

/** [route, go]: go takes changes to the route, or a whole one with its screen. */
export function useRoute() {
  const [route, setRoute] = useState(parse(location.hash));
  useEffect(() => {
    const listen = () => setRoute(parse(location.hash));
    window.addEventListener("hashchange", listen);
    return () => window.removeEventListener("hashchange", listen);
  }, []);
  const go = (change) => {
    const current = parse(location.hash);
    location.hash = format(
      change.screen ? { namespace: current.namespace, ...change } : { ...current, ...change },
    );
  };
  return [route, go];
}
