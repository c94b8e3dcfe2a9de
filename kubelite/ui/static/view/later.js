// Screens that are loaded when they are first shown: the first paint does not wait for them.

import { html } from "../vendor/preact-htm.js";
import { useLoaded } from "./hooks.js";
import { Nothing, Problem } from "./parts.js";

/** A view of the name `name` in the module that `load` imports. */
export function later(load, name) {
  return function Later(properties) {
    const { value: module, error } = useLoaded(load, []);
    if (error) return html`<${Problem} error=${error} />`;
    if (!module) return html`<${Nothing}>Reading …</${Nothing}>`;
    return html`<${module[name]} ...${properties} />`;
  };
}
