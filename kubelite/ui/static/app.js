// The door of the page: swaps the one-time token of the address for the session's cookie.

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  history.replaceState(null, "", location.pathname);
  await fetch("/ui/session", { method: "POST", body: token });
}
const answer = await fetch("/ui/info");
const info = await answer.json();
document.getElementById("status").textContent = answer.ok
  ? `kubelite ${info.version}, ${info.context}`
  : info.message;
