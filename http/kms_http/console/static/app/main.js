// The console begins here.
import { html, render } from "./lib.js";
import { App } from "./shell.js";
import { beginTheme } from "./theme.js";

beginTheme();
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
