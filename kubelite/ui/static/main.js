// Where the page begins: session, discovery, then the frame with a screen in it.

import { html, render } from "./vendor/preact-htm.js";
import { listAhead } from "./api/collection.js";
import * as session from "./api/session.js";
import { ofEngine } from "./model/kinds.js";
import { parse } from "./model/route.js";
import { applyTheme } from "./view/theme.js";
import { Frame } from "./view/frame.js";

const page = document.getElementById("page");
applyTheme();

try {
  await session.open();
  listAhead(parse(location.hash));
  const [info, all] = await Promise.all([session.info(), session.discover()]);
  const resources = info.mode === "local" ? ofEngine(all) : all;
  page.replaceChildren();
  render(html`<${Frame} info=${info} resources=${resources} />`, page);
} catch (error) {
  page.replaceChildren();
  render(
    html`<div class="boot" role="alert">
    <h1>The page cannot reach its server</h1>
    <p>${error.message}</p>
    <p>Run <code>kubelite ui</code> again and open the address that it prints.</p>
  </div>`,
    page,
  );
}
