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

// A page of these also comes without a load: where the account was deleted.
let addressTold = "";
function obeyAddress() {
  if (location.href === addressTold || !document.getElementById("form-notices")) return;
  addressTold = location.href;
  showFormOutcome();
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
  const source = document.getElementById(button.dataset.copyFrom);
  if (!source) return;
  await toClipboard(button, {
    "text/plain": readable(source),
    "text/html": withoutBars(source).innerHTML,
  });
}

// Puts a text into the clipboard, in one form or several; the button shows that it is there.
export async function toClipboard(button, forms) {
  if (navigator.clipboard) await navigator.clipboard.write([new ClipboardItem(blobs(forms))]);
  else copyByEvent(forms);
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1500);
}

function blobs(forms) {
  return Object.fromEntries(
    Object.entries(forms).map(([type, text]) => [type, new Blob([text], { type })]),
  );
}

// For a page that came over plain HTTP from another machine: browsers give it no clipboard.
function copyByEvent(forms) {
  const fill = (event) => {
    for (const [type, text] of Object.entries(forms)) event.clipboardData.setData(type, text);
    event.preventDefault();
  };
  document.addEventListener("copy", fill, { once: true });
  document.execCommand("copy");
  document.removeEventListener("copy", fill);
}

// Returns a copy of an answer without the bars over its code.
function withoutBars(source) {
  const bare = source.cloneNode(true);
  for (const bar of bare.querySelectorAll("figcaption")) bar.remove();
  return bare;
}

// The text of an answer as one would type it: list marks, tabs between a table's cells.
export function readable(source) {
  const bare = withoutBars(source);
  for (const row of bare.querySelectorAll("tr")) {
    row.textContent = [...row.cells].map((cell) => cell.textContent.trim()).join("\t");
  }
  for (const item of bare.querySelectorAll("li")) item.prepend(markOf(item));
  for (const block of bare.querySelectorAll("p, pre, h1, h2, h3, h4, h5, h6")) block.append("\n");
  return bare.textContent.replace(/[\t ]*\n\s*\n/g, "\n\n").trim();
}

function markOf(item) {
  const list = item.parentElement;
  if (list.tagName !== "OL") return "- ";
  return `${(list.start || 1) + [...list.children].indexOf(item)}. `;
}

// A browser would focus the button that closes it.
function openDialog(id) {
  const dialog = document.getElementById(id);
  dialog?.showModal();
  dialog?.querySelector("input")?.select();
}

document.addEventListener("click", (event) => {
  const element = event.target.closest("[data-copy-from], [data-opens], [data-closes], [data-afresh]");
  if (!element) return;
  if (element.dataset.opens) openDialog(element.dataset.opens);
  else if ("closes" in element.dataset) element.closest("dialog")?.close();
  // What broke the page may be in the state that the server keeps for this tab.
  else if ("afresh" in element.dataset) sessionStorage.clear();
  else copy(element);
});

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog")) event.target.close();
});

// How much of what a text may hold is used, while it is written.
function count(field) {
  const told = field.form?.querySelector("output.count");
  if (!told) return;
  const figure = (n) => n.toLocaleString(root.lang);
  const used = [...field.value].length;
  told.textContent = `${figure(used)} / ${figure(Number(field.dataset.limit))}`;
  told.classList.toggle("is-over", used > Number(field.dataset.limit));
}
document.addEventListener("input", (event) => event.target.dataset?.limit && count(event.target));
document.addEventListener("focusin", (event) => event.target.dataset?.limit && count(event.target));

// Shortcuts are listed in the dialog that `?` opens.
const SHORTCUTS = {
  "?": () => openDialog("shortcuts"),
  "/": () => document.querySelector("#prompt, [type=search]")?.focus(),
  s: () => document.querySelector('[data-opens="search"]')?.click(),
  1: () => document.querySelector('.rail a[href="/chat"]')?.click(),
  2: () => document.querySelector('.rail a[href="/memory"]')?.click(),
  3: () => document.querySelector('.rail a[href="/usage"]')?.click(),
  4: () => document.querySelector('.rail a[href="/settings"]')?.click(),
};
document.addEventListener("keydown", (event) => {
  // A search field would take the key to empty itself.
  if (event.key === "Escape") event.target.closest?.("dialog[open]")?.close();
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]") || !(event.key in SHORTCUTS)) return;
  event.preventDefault();
  SHORTCUTS[event.key]();
});

// The connection's line comes and goes by React; that it is back is told for a moment.
const REGAINED_MS = 4000;
let wasLost = false;
function obeyConnection() {
  const isLost = document.querySelector(".connection:not(#regained)") !== null;
  const regained = document.getElementById("regained");
  if (wasLost && !isLost && regained) {
    regained.hidden = false;
    document.dispatchEvent(new Event("regained"));
    setTimeout(() => { regained.hidden = true; }, REGAINED_MS);
  }
  wasLost = isLost;
}

function look() {
  obeyAddress();
  obeySignals();
  obeyConnection();
}

new MutationObserver(look).observe(root, {
  subtree: true, childList: true, attributes: true, attributeFilter: ["data-theme", "data-language"],
});
obeyAddress();
obeySignals();
