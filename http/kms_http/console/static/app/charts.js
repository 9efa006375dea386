// Charts of a few numbers: drawn of rectangles, told in words beside them.
import { html } from "./lib.js";

// Bars, the longest first. `items`: [name, count, link]; `text` says a count.
export function Bars({ title, items, text, most = Math.max(1, ...items.map(([, count]) => count)) }) {
  return html`<figure class="chart"><figcaption>${title}</figcaption>${items.length === 0 ? html`<p class="muted">Nothing to show.</p>` : html`<ol class="bars">${items.map(([name, count, link]) => html`<li key=${name}>
    <span class="bar-name">${link ? html`<a href=${link}>${name}</a>` : name}</span>
    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="fill" width=${count > 0 ? Math.max(0.8, (count / most) * 100) : 0} height="10" /></svg>
    <span class="bar-count">${text(count)}</span></li>`)}</ol>`}</figure>`;
}

// One bar of parts. `parts`: [name, count, kind].
export function Parts({ title, parts }) {
  const whole = Math.max(1, parts.reduce((sum, [, count]) => sum + count, 0));
  let from = 0;
  const drawn = parts.filter(([, count]) => count > 0).map(([name, count, kind]) => {
    const width = (count / whole) * 100;
    const part = html`<rect key=${name} class=${kind} x=${from} width=${Math.max(0, width - 0.4)} height="10" />`;
    from += width;
    return part;
  });
  return html`<figure class="chart"><figcaption>${title}</figcaption><svg class="parts" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">${drawn}</svg>
    <ul class="legend">${parts.map(([name, count, kind]) => html`<li key=${name}><span class=${`dot ${kind}`} aria-hidden="true"></span>${name} <strong>${count.toLocaleString()}</strong></li>`)}</ul></figure>`;
}
