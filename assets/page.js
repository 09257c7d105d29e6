// What every page does in the browser itself: sign-in errors, theme, time zone, dialogs, copying,
// keyboard shortcuts. Uses delegated events, so that pages may come and go.

const root = document.documentElement;
// Where the platform is served: "/", or a path that a proxy puts in front.
const base = new URL(".", import.meta.url).pathname;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

const isTyping = (element) => element?.closest?.("input, textarea, select, [contenteditable]");

// Sign-in pages: the answer to a form is a redirect with ?error= or ?notice=. What was typed is kept
// only in this tab, never in a URL, which logs and histories keep.
// Messages are only unhidden: text inserted before React hydrates would be lost.
function showFormOutcome() {
  const query = new URLSearchParams(location.search);
  const typed = JSON.parse(sessionStorage.getItem("typed") ?? "{}");
  for (const input of document.querySelectorAll("[data-typed]")) {
    if (!input.value) input.value = typed[input.dataset.typed] ?? "";
  }
  for (const input of document.querySelectorAll("[data-query]")) {
    const given = query.get(input.dataset.query);
    if (given && !input.value) input.value = given;
    if (input.value) input.closest("[data-shown-with]")?.removeAttribute("hidden");
  }
  const told = (name) => document.querySelector(`[data-${name}="${CSS.escape(query.get(name))}"]`);
  if (query.get("notice") === "account_deleted") forgetDrafts();
  if (query.has("notice")) told("notice")?.removeAttribute("hidden");
  if (query.has("error")) showError(told("error") ?? document.querySelector('[data-error=""]'));
  else if (document.querySelector("[data-shown-with=invitation]")) tellWhoMayRegister();
}

function showFields(name) {
  for (const field of document.querySelectorAll(`[data-shown-with="${CSS.escape(name)}"]`)) {
    field.removeAttribute("hidden");
  }
}

// When the pages are built, it is not known whether registration is open.
async function tellWhoMayRegister() {
  const answer = await fetch(`${base}api/v1/auth/registration`).catch(() => null);
  const { registration } = answer?.ok ? await answer.json() : {};
  showFields(registration);
  const isSetUp = new URLSearchParams(location.search).has("setup_code");
  if (registration === "closed" && !isSetUp) showError(document.querySelector("[data-error=registration_closed]"));
}

// One of these pages can also open without a load: after the account was deleted.
let addressTold = "";
function obeyAddress() {
  if (location.href === addressTold || !document.getElementById("form-notices")) return;
  addressTold = location.href;
  showFormOutcome();
}

function showError(words) {
  words?.removeAttribute("hidden");
  words?.closest(".field")?.removeAttribute("hidden");
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

// #signals has what the server knows about the person: another language needs other pages.
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

// Copies a text to the clipboard, in one or several formats; the button confirms it.
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

// For pages loaded over plain HTTP from another machine: browsers give them no clipboard.
function copyByEvent(forms) {
  const fill = (event) => {
    for (const [type, text] of Object.entries(forms)) event.clipboardData.setData(type, text);
    event.preventDefault();
  };
  document.addEventListener("copy", fill, { once: true });
  document.execCommand("copy");
  document.removeEventListener("copy", fill);
}

// Returns a copy of an answer without the bars above its code.
function withoutBars(source) {
  const bare = source.cloneNode(true);
  for (const bar of bare.querySelectorAll("figcaption")) bar.remove();
  return bare;
}

// The text of an answer as a person would type it: list marks, tabs between a table's cells.
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

// By default the browser would focus the close button.
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
  // The cause of the crash may be in the state that the server keeps for this tab.
  else if ("afresh" in element.dataset) sessionStorage.clear();
  else copy(element);
});

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog")) event.target.close();
});

// What a browser keeps of a person is removed when they sign out: unsent drafts, and this tab's
// token. The next person to sign in starts with a new one.
document.addEventListener("submit", (event) => {
  const action = event.target.getAttribute("action") ?? "";
  if (!action.includes("/api/v1/session/")) return;
  sessionStorage.clear();
  const typed = [...event.target.querySelectorAll("[data-typed]")];
  const kept = Object.fromEntries(typed.map((input) => [input.dataset.typed, input.value]));
  if (typed.length) sessionStorage.setItem("typed", JSON.stringify(kept));
  if (action.endsWith("/logout")) forgetDrafts();
});

// If a sign-in ended elsewhere, its drafts are removed when somebody else opens a chat.
export function forgetDrafts(but = "") {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("draft:") && key !== but) localStorage.removeItem(key);
  }
}

// Shows how much of a text's limit is used, while it is written.
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

// Rates a new password roughly while it is typed; the server does it properly.
function rate(password) {
  const variety = new Set(password.toLowerCase()).size;
  const isCommon = /^(pass|qwert|1234|admin|welcome|letmein|iloveyou|парол|йцуке)/i.test(password);
  if (password.length < 10 || variety < 6 || isCommon) return "weak";
  return password.length < 15 ? "fair" : "strong";
}
document.addEventListener("input", (event) => {
  const field = event.target;
  const told = field.autocomplete === "new-password" && field.form?.querySelector(".strength");
  if (!told) return;
  const word = field.value ? rate(field.value) : "";
  const text = told.dataset[word] ?? "";
  // Screen readers would repeat the same words after every letter.
  if (told.textContent !== text) told.textContent = text;
  told.dataset.is = word;
});

// Shortcuts are listed in the dialog that `?` opens.
const SHORTCUTS = {
  "?": () => openDialog("shortcuts"),
  "/": () => document.querySelector("#prompt, [type=search]")?.focus(),
  s: () => document.querySelector('[data-opens="search"]')?.click(),
  1: () => document.querySelector(`.rail a[href="${base}chat"]`)?.click(),
  2: () => document.querySelector(`.rail a[href="${base}memory"]`)?.click(),
  3: () => document.querySelector(`.rail a[href="${base}usage"]`)?.click(),
  4: () => document.querySelector(`.rail a[href="${base}settings"]`)?.click(),
};
document.addEventListener("keydown", (event) => {
  // A search field would use the key to clear itself.
  if (event.key === "Escape") event.target.closest?.("dialog[open]")?.close();
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]") || !(event.key in SHORTCUTS)) return;
  event.preventDefault();
  SHORTCUTS[event.key]();
});

// React shows and hides the connection line; when it is back, this is shown for a moment.
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
