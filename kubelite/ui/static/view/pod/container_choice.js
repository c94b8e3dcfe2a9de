import { html } from "../../vendor/preact-htm.js";
import { usePage } from "../hooks.js";

/** Which container of a pod is looked at, kept in the address; `titles` for what is none. */
export function ContainerChoice({ names, chosen, titles = {} }) {
  const { go } = usePage();
  return html`<label><span class="sr">Container</span><select value=${chosen}
    onChange=${(event) => go({ container: event.target.value })}>
    ${names.map(
      (
        name,
      ) => html`<option key=${name} value=${name} selected=${name === chosen}>
        ${titles[name] ?? name}</option>`,
    )}</select></label>`;
}
