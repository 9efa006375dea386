// Light or dark: as the system has it, or as was chosen. The choice is all that the browser keeps of the console.
const NAME = "kms-console-theme";

function chosen() {
  try { return localStorage.getItem(NAME) || "auto"; } catch { return "auto"; }
}

export const theme = chosen;

export function setTheme(value) {
  try { if (value === "auto") localStorage.removeItem(NAME); else localStorage.setItem(NAME, value); } catch { /* it holds for this page */ }
  show(value);
}

function show(value) {
  if (value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
}

export const beginTheme = () => show(chosen());
