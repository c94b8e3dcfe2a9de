// Where in the page somebody is, as the fragment of its address, so that back, forward and links
// work. Pure.
//
// #/overview   #/list/deployments.apps?namespace=a&filter=web   #/pod/default/web?tab=logs
// #/create?kind=services   #/topology?namespace=a
// `open=pods/default/web` shows that object in the drawer beside any of them.

const OTHERS = new Set(["create", "topology"]);

export function parse(fragment) {
  const [path, query] = fragment.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  const words = Object.fromEntries(new URLSearchParams(query ?? ""));
  const [screen = "overview"] = parts;
  if (screen === "list" && parts[1]) return { screen, resource: parts[1], ...words };
  if (screen === "pod" && parts[2])
    return { screen, namespace: parts[1], name: parts[2], ...words };
  return { screen: OTHERS.has(screen) ? screen : "overview", ...words };
}

export function format(route) {
  const { screen, resource, ...rest } = route;
  const parts = [screen];
  if (screen === "list") parts.push(resource);
  if (screen === "pod") {
    parts.push(rest.namespace, rest.name);
    delete rest.namespace;
    delete rest.name;
  }
  const words = Object.entries(rest).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(words).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** The object that `open=` names: { resource, namespace, name }, or null. */
export function parseOpen(text) {
  const parts = (text ?? "").split("/");
  if (parts.length === 3) return { resource: parts[0], namespace: parts[1], name: parts[2] };
  if (parts.length === 2) return { resource: parts[0], namespace: "", name: parts[1] };
  return null;
}

export function formatOpen({ resource, namespace, name }) {
  return [resource, ...(namespace ? [namespace] : []), name].join("/");
}
