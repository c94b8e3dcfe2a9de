// The files of a container: looked at, taken out, put in, by commands of its own.

import { html, useState } from "../../vendor/preact-htm.js";
import { run } from "../../api/exec.js";
import { bytes } from "../../model/figures.js";
import { containersOf } from "../../model/pod/containers.js";
import * as files from "../../model/pod/files.js";
import { download } from "../download.js";
import { useLoaded, useNow, usePage } from "../hooks.js";
import { Age, Nothing, Problem } from "../parts.js";
import { ContainerChoice } from "./container_choice.js";

const SIGNS = { directory: "▸", link: "↷", file: "", other: "" };

export function Files({ pod }) {
  const { route, go, tell } = usePage();
  const names = containersOf(pod)
    .filter(({ status }) => status?.state?.running)
    .map(({ spec }) => spec.name);
  const container = names.includes(route.container) ? route.container : names[0];
  const wanted = route.path ?? "/";
  const [count, setCount] = useState(0);
  const { value: listing, error } = useLoaded(
    () => list(pod.metadata, container, wanted),
    [pod.metadata.uid, container, wanted, count],
  );
  const put = async (file) => {
    if (!file) return;
    const target = files.join(listing.path, file.name);
    const command = files.putCommand(target, file.size);
    await attempt(tell, `${target} is written`, () =>
      run(pod.metadata, { container, command, input: file }),
    );
    setCount(count + 1);
  };
  const take = (entry) =>
    attempt(tell, "", async () => {
      const path = files.join(listing.path, entry.name);
      const isDirectory = entry.type === "directory";
      const command = isDirectory ? files.getDirectoryCommand(path) : files.getCommand(path);
      const content = await run(pod.metadata, { container, command });
      download(isDirectory ? `${entry.name}.tar` : entry.name, content);
    });
  if (!container) return html`<p class="nothing">No container of this pod is running.</p>`;
  return html`<div class="files" onDragOver=${(event) => event.preventDefault()}
    onDrop=${(event) => {
      event.preventDefault();
      put(event.dataTransfer.files[0]);
    }}>
    <div class="bar">
      <${ContainerChoice} names=${names} chosen=${container} />
      <label class="grow path"><span class="sr">Directory</span><input spellcheck=${false}
        value=${listing?.path ?? wanted} onChange=${(event) => go({ path: event.target.value })} />
        </label>
      <button type="button" onClick=${() => setCount(count + 1)}>Read again</button>
      <label>Put a file here <input type="file" onChange=${(event) => put(event.target.files[0])} />
        </label>
    </div>
    ${error && html`<${Problem} error=${error} />`}
    ${
      listing
        ? html`<${Listing} listing=${listing} take=${take}
          enter=${(path) => go({ path })} />`
        : !error && html`<${Nothing}>Reading …</${Nothing}>`
    }
  </div>`;
}

function Listing({ listing, take, enter }) {
  const now = useNow(60_000);
  const { path, entries } = listing;
  const name = (entry) =>
    entry.type === "directory" || entry.type === "link"
      ? html`<button type="button" class="link"
        onClick=${() => enter(files.join(path, entry.name))}>${entry.name}</button>`
      : entry.name;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Files in ${path}`}><table
    class="plain"><thead><tr><th scope="col">Name</th><th scope="col">Size</th>
      <th scope="col">Changed</th><th scope="col">Take out</th></tr></thead>
    <tbody>
      ${
        path !== "/" &&
        html`<tr><th scope="row" colspan="4"><button type="button" class="link"
          onClick=${() => enter(files.parent(path))}>.. (one up)</button></th></tr>`
      }
      ${entries.map(
        (entry) => html`<tr key=${entry.name}>
        <th scope="row"><span class="sign" aria-hidden="true">${SIGNS[entry.type]}</span>
          ${name(entry)}<span class="sr">, ${entry.type}</span></th>
        <td>${entry.type === "file" && bytes(entry.size)}</td>
        <td><${Age} time=${new Date(entry.modified).toISOString()} now=${now} /></td>
        <td>${
          entry.type !== "other" &&
          html`<button type="button" aria-label=${`Download ${entry.name}`}
            title=${entry.type === "directory" ? "as a .tar archive" : undefined}
            onClick=${() => take(entry)}>Download</button>`
        }</td></tr>`,
      )}
    </tbody></table></div>`;
}

async function list(pod, container, path) {
  const output = await run(pod, { container, command: files.listCommand(path) });
  const listing = files.parseListing(await output.text());
  if (!listing) throw new Error("The directory changed while it was read.");
  return listing;
}

/** Says how it went. */
async function attempt(tell, sentence, work) {
  try {
    await work();
    if (sentence) tell(sentence);
  } catch (error) {
    tell(error.message, "bad");
  }
}
