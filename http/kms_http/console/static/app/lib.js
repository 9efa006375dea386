// What is drawn with: Preact, its hooks and htm, as npm has them. The first two come before this as scripts that set a
// global each (index.html): their modules import each other by bare names, which only an inline import map resolves.
import htm from "../vendor/htm.module.js";

const { h, render, Fragment, createContext } = globalThis.preact;
const { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useContext, useId } = globalThis.preactHooks;
const html = htm.bind(h);

export {
  h, html, render, Fragment, createContext,
  useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useContext, useId,
};
