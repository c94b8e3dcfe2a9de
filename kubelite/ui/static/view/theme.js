// Light or dark: as the system says, unless somebody chose.

const KEY = "kubelite-theme";
const THEMES = ["auto", "light", "dark"];

export function theme() {
  const chosen = localStorage.getItem(KEY);
  return THEMES.includes(chosen) ? chosen : "auto";
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

/** The next of auto, light, dark. */
export function changeTheme() {
  localStorage.setItem(KEY, THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  applyTheme();
  return theme();
}
