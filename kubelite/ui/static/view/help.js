import { html } from "../vendor/preact-htm.js";
import { Dialog } from "./parts.js";
import { usePage } from "./hooks.js";

const LICENCES = new URL("../vendor/LICENCES.txt", import.meta.url).href;
const KEYS = [
  ["/", "Filter the list: words, and labels as app=web, app!=web, app in (web, db), !app"],
  [":", "Go to a kind by its name or short name"],
  ["↑ ↓ or j k", "Move in a list"],
  ["Enter", "Open the object"],
  ["Space", "Select the row; Shift and a click select up to there"],
  ["l", "Logs of the pod"],
  ["s", "Shell in the pod"],
  ["u", "Undo what is about to happen"],
  ["c", "Create an object of the kind"],
  ["e", "Edit the object"],
  ["Esc", "Close what is open"],
  ["?", "This help"],
];

export function Help({ close }) {
  const { info } = usePage();
  return html`<${Dialog} label="Keyboard and help" close=${close}>
    <h2>Keyboard</h2>
    <dl class="keys">${KEYS.map(
      ([key, text]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt>
      <dd>${text}</dd></div>`,
    )}</dl>
    <p class="dim">kubelite ${info.version} · ${info.context} · ${info.server} · <a
      href=${LICENCES}>licences</a></p>
    <button type="button" autofocus onClick=${close}>Close</button>
  </${Dialog}>`;
}
