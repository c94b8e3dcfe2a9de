// ":": a kind by a few letters of its name.

import { html, useState } from "../vendor/preact-htm.js";
import { matches } from "../model/kinds.js";
import { Dialog } from "./parts.js";
import { usePage } from "./hooks.js";

const MOST = 12;

export function Palette({ close }) {
  const { resources, go } = usePage();
  const [text, setText] = useState("");
  const [cursor, setCursor] = useState(0);
  const shown = matches(resources, text).slice(0, MOST);
  const choose = (resource) => {
    close();
    go({ screen: "list", resource: resource.id });
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setCursor((cursor + step + shown.length) % Math.max(1, shown.length));
    else if (event.key === "Enter" && shown[cursor]) choose(shown[cursor]);
    else return;
    event.preventDefault();
  };
  return html`<${Dialog} label="Go to kind" kind="palette" close=${close}>
    <input role="combobox" aria-label="Kind" aria-expanded="true" aria-controls="kinds" autofocus
      autocomplete="off" spellcheck=${false}
      aria-activedescendant=${shown.length ? `kind-${cursor}` : undefined}
        placeholder="Kind, or short name as po, deploy, svc"
      value=${text} onInput=${(event) => {
        setText(event.target.value);
        setCursor(0);
      }} onKeyDown=${onKeyDown} />
    <ul id="kinds" role="listbox" aria-label="Kinds">${shown.map(
      (resource, index) => html`
      <li id=${`kind-${index}`} key=${resource.id} role="option" aria-selected=${index === cursor}
        onClick=${() => choose(resource)}>
        <span>${resource.kind}</span><span class="dim">
          ${[resource.shortNames.join(" "), resource.group].filter(Boolean).join(" · ")}</span>
      </li>`,
    )}</ul>
  </${Dialog}>`;
}
