// Times, sizes and spans of time as people read them, and base64.

export function when(value) {
  if (!value) return "–";
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function span(seconds) {
  const count = Math.abs(Math.round(Number(seconds) || 0));
  for (const [unit, name] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (count >= unit) { const n = Math.floor(count / unit); return `${n} ${name}${n === 1 ? "" : "s"}`; }
  }
  return `${count} second${count === 1 ? "" : "s"}`;
}

export function ago(value) {
  if (!value) return "never";
  const seconds = (Date.now() - new Date(value).getTime()) / 1000;
  return Math.abs(seconds) < 5 ? "just now" : seconds < 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`;
}

export const number = (value) => Number(value || 0).toLocaleString();

export function size(bytes) {
  let count = Number(bytes || 0);
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (count < 1024 || unit === "TiB") return `${unit === "B" || count >= 100 ? Math.round(count) : count.toFixed(1)} ${unit}`;
    count /= 1024;
  }
  return "";
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

export function toBase64(text) {
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return btoa(bytes);
}

// Text of base64; null where the bytes are no text.
export function fromBase64(text) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(atob(text), (each) => each.charCodeAt(0)));
  } catch {
    return null;
  }
}

// Objects of JSON that have a number, or more, of more digits than a browser keeps.
const rounded = new WeakSet();

// A number as its digits and the power of ten: 1.50 and 15e-1 are the same.
function digits(text) {
  const [, sign, whole, part = "", power = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) || [];
  const all = whole && (whole + part).replace(/^0+/, "");
  const kept = all && all.replace(/0+$/, "");
  return kept ? `${sign}${kept}e${Number(power) - part.length + all.length - kept.length}` : whole && "0";
}

// Reads JSON, and notes which numbers became others by it, where the browser tells how they were written.
export const parse = (text) => JSON.parse(text, function noting(key, value, context) {
  if (typeof value === "number" && context?.source !== undefined && digits(context.source) !== digits(String(value))) rounded.add(this);
  return value;
});

// Tells whether there is a number in it that a browser does not keep to its last digit.
export const unkept = (value) => (typeof value === "number" ? Number.isInteger(value) && !Number.isSafeInteger(value)
  : value !== null && typeof value === "object" && (rounded.has(value) || Object.values(value).some(unkept)));

export const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));
export const words = (text) => text.split(/[\s,]+/).filter(Boolean);
