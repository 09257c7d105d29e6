// What every page does in the browser itself: sign-in errors, theme, time zone, dialogs, copying,
// keyboard shortcuts. Works by delegation, so that pages may come and go under it.

const root = document.documentElement;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

const isTyping = (element) => element?.closest?.("input, textarea, select, [contenteditable]");

// Sign-in pages: the answer to a form is a redirect with ?error=, ?notice= and what was typed.
// Words are only unhidden: a text put in before React takes over would be thrown away.
function showFormOutcome() {
  const query = new URLSearchParams(location.search);
  for (const input of document.querySelectorAll("[data-query]")) {
    const given = query.get(input.dataset.query);
    if (given && !input.value) input.value = given;
  }
  const told = (name) => document.querySelector(`[data-${name}="${CSS.escape(query.get(name))}"]`);
  if (query.has("notice")) told("notice")?.removeAttribute("hidden");
  if (query.has("error")) showError(told("error") ?? document.querySelector('[data-error=""]'));
}

function showError(words) {
  words?.removeAttribute("hidden");
  const input = words?.closest(".field")?.querySelector("input");
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

// Theme: the page's own script applies localStorage.theme before the first paint.
export function setTheme(theme) {
  localStorage.setItem("theme", theme);
  const isDark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.classList.remove("light", "dark");
  root.classList.add(isDark ? "dark" : "light");
  root.style.colorScheme = isDark ? "dark" : "light";
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  setTheme(localStorage.getItem("theme") ?? "system");
});

// #signals carries what the server knows of the person: another language needs other pages.
function obeySignals() {
  const { theme, language } = document.getElementById("signals")?.dataset ?? {};
  if (theme && theme !== (localStorage.getItem("theme") ?? "system")) setTheme(theme);
  if (language && language !== root.lang && sessionStorage.getItem("spoke") !== language) {
    sessionStorage.setItem("spoke", language);
    location.reload();
  } else if (language === root.lang) {
    sessionStorage.removeItem("spoke");
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copyFrom ?? "");
  const text = button.dataset.copy ?? source?.innerText ?? "";
  await navigator.clipboard.writeText(text);
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1500);
}

document.addEventListener("click", (event) => {
  const element = event.target.closest("[data-copy], [data-copy-from], [data-opens], [data-closes]");
  if (!element) return;
  if (element.dataset.opens) document.getElementById(element.dataset.opens)?.showModal();
  else if ("closes" in element.dataset) element.closest("dialog")?.close();
  else copy(element);
});

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog")) event.target.close();
});

// Shortcuts are listed in the dialog that `?` opens.
const SHORTCUTS = {
  "?": () => document.getElementById("shortcuts")?.showModal(),
  "/": () => document.querySelector("#prompt, [type=search]")?.focus(),
  1: () => document.querySelector('.rail a[href="/chat"]')?.click(),
  2: () => document.querySelector('.rail a[href="/memory"]')?.click(),
  3: () => document.querySelector('.rail a[href="/usage"]')?.click(),
  4: () => document.querySelector('.rail a[href="/settings"]')?.click(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]") || !(event.key in SHORTCUTS)) return;
  event.preventDefault();
  SHORTCUTS[event.key]();
});

// Forms of one step: what was submitted is cleared when the server says so.
new MutationObserver(obeySignals).observe(root, {
  subtree: true, childList: true, attributes: true, attributeFilter: ["data-theme", "data-language"],
});
showFormOutcome();
obeySignals();
