// The chat page in the browser: the composer (Enter, draft, nonce, limit), older and newer
// messages on scroll, the title when an answer arrives unseen. Uses delegated events, since the
// page may be rendered later.
import { forgetDrafts, readable, toClipboard } from "./page.js";

// How often the page reports that it is still open. The server pushes news on its own.
const SIGN_OF_LIFE_SECONDS = 30;
const isTouch = matchMedia("(pointer: coarse)").matches;
const growsByItself = CSS.supports("field-sizing", "content");
// A section of older messages does not end with the last message.
const LAST_EDIT = ".messages:not([data-window=true]) > .row:nth-last-child(-n + 2) .edit";
const byId = (id) => document.getElementById(id);
const draftKey = () => `draft:${byId("composer")?.dataset.account ?? ""}`;

function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function readDraft() {
  try {
    return JSON.parse(localStorage.getItem(draftKey())) ?? {};
  } catch {
    return {};
  }
}

function writeDraft(draft) {
  if (draft.text) localStorage.setItem(draftKey(), JSON.stringify(draft));
  else localStorage.removeItem(draftKey());
}

// How far over the limit the text is, in characters as the server counts them.
function tooMany(prompt) {
  return [...prompt.value].length - Number(prompt.dataset.max);
}

function showLimit(prompt) {
  const excess = prompt.value.length > Number(prompt.dataset.max) ? tooMany(prompt) : 0;
  const words = byId("prompt-limit").dataset.tooLong;
  const count = excess.toLocaleString(document.documentElement.lang);
  tell(excess > 0 ? words.replace("{count}", count) : "");
  if (excess > 0) prompt.setAttribute("aria-invalid", "true");
  else prompt.removeAttribute("aria-invalid");
}

// The line under the field: why the text cannot be sent now.
function tell(text) {
  const line = byId("prompt-limit");
  if (line.textContent !== text) line.textContent = text;
}

function grow(prompt) {
  if (growsByItself) return;
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

function setPrompt(text) {
  const prompt = byId("prompt");
  prompt.value = text;
  prompt.dispatchEvent(new Event("input", { bubbles: true }));
  prompt.focus();
  prompt.setSelectionRange(text.length, text.length);
}

document.addEventListener("input", (event) => {
  if (event.target.id !== "prompt") return;
  showLimit(event.target);
  grow(event.target);
  writeDraft({ text: event.target.value });
});

document.addEventListener("keydown", (event) => {
  if (event.target.id !== "prompt" || event.isComposing) return;
  if (event.key === "ArrowUp" && !event.target.value) {
    event.preventDefault();
    document.querySelector(LAST_EDIT)?.click();
  }
  // On touch screens Enter breaks the line, and the button sends.
  if (event.key !== "Enter" || event.shiftKey || isTouch) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

// Runs before React's handler: blocks what may not be sent, and gives what is sent its nonce.
document.addEventListener(
  "submit",
  (event) => {
    if (event.target.id !== "composer") return;
    const prompt = byId("prompt");
    const text = prompt.value;
    const isOffline = document.querySelector(".connection:not(#regained)") !== null;
    if (isOffline) tell(byId("prompt-limit").dataset.offline);
    if (isOffline || !text.trim() || tooMany(prompt) > 0 || event.target.dataset.replying === "true") {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    const earlier = readDraft();
    const nonce = earlier.text === text && earlier.nonce ? earlier.nonce : newNonce();
    event.target.elements.nonce.value = nonce;
    writeDraft({ text, nonce });
    // Runs after React has read the form.
    setTimeout(() => {
      prompt.value = "";
      grow(prompt);
      tell("");
      toEnd();
    });
  },
  true,
);

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-edit], [data-try], [data-copy-code], #to-end, .stop");
  if (!button) return;
  if (button.id === "to-end") toEnd();
  // The button disappears: what is typed next belongs in the field.
  else if (button.matches(".stop")) byId("prompt").focus();
  else if (button.dataset.edit) setPrompt(byId(button.dataset.edit).textContent);
  else if (button.dataset.try) setPrompt(button.dataset.try);
  else copyCode(button);
});

function copyCode(button) {
  return toClipboard(button, { "text/plain": button.closest("figure").querySelector("code").innerText });
}

// The log is laid out from its end (column-reverse), so 0 is the end and older messages can be
// inserted above without a jump.
function toEnd() {
  byId("log")?.scrollTo({ top: 0 });
}

function obeyComposer() {
  const composer = byId("composer");
  const prompt = byId("prompt");
  if (!composer || !prompt) return;
  const { accepted, refused, account } = composer.dataset;
  const draft = readDraft();
  if (draft.nonce && draft.nonce === accepted) {
    writeDraft({});
  } else if (draft.nonce && draft.nonce === refused) {
    writeDraft({ text: draft.text });
    if (!prompt.value) setPrompt(draft.text);
  } else if (account && prompt.dataset.restored !== account) {
    prompt.dataset.restored = account;
    forgetDrafts(draftKey());
    if (!prompt.value && draft.text) setPrompt(draft.text);
  }
}

// What a reply does outside the log: the title shows that one arrived while the tab was hidden, and
// screen readers announce that it begins and, once, what it says.
let wasReplying = false;
let plainTitle = null;
function obeyReply() {
  const composer = byId("composer");
  const isReplying = composer?.dataset.replying === "true";
  if (isReplying === wasReplying) return;
  wasReplying = isReplying;
  if (isReplying) announce(composer.dataset.begun);
  else if (composer) arrive(composer.dataset.arrived);
}

function arrive(words) {
  const answer = document.querySelector("#messages > li:last-child .reading");
  announce(`${words}. ${answer ? readable(answer) : ""}`);
  if (!document.hidden) return;
  plainTitle ??= document.title;
  document.title = `● ${words}`;
}

function announce(text) {
  const announcer = byId("announcer");
  if (announcer) announcer.textContent = text;
}

const check = () => byId("check")?.click();
setInterval(check, SIGN_OF_LIFE_SECONDS * 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (plainTitle !== null) document.title = plainTitle;
  plainTitle = null;
  check();
});

// The button back to the end is shown while the person reads further up.
const FAR_PIXELS = 240;
document.addEventListener("scroll", (event) => {
  const log = event.target;
  if (log.id !== "log") return;
  byId("to-end")?.toggleAttribute("hidden", -log.scrollTop < FAR_PIXELS);
  // At its very end a log follows what arrives; among older messages the position must stay.
  if (log.scrollTop > -1 && byId("newer")) log.scrollTop = -1;
}, { capture: true, passive: true });

const nearEdge = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) entry.target.click();
}, { rootMargin: "600px 0px" });

let watched = [];
let shownCount = 0;
function watchEdges() {
  const edges = [byId("older"), byId("newer")];
  const count = document.querySelectorAll(".messages > li").length;
  if (count === shownCount && edges.every((edge, n) => edge === watched[n])) return;
  nearEdge.disconnect();
  for (const edge of edges) if (edge) nearEdge.observe(edge);
  watched = edges;
  shownCount = count;
}

// Requests made while the connection was lost are repeated.
document.addEventListener("regained", () => {
  watched = [];
  watchEdges();
});

// A message in the URL is scrolled into view once; without it, the end is shown again.
let broughtIntoView = "";
function showMarked() {
  const marked = document.querySelector(".row.is-marked");
  const id = marked?.dataset.message ?? "";
  if (!id && broughtIntoView) toEnd();
  if (id && id !== broughtIntoView) marked.scrollIntoView({ block: "center" });
  broughtIntoView = id;
}

function look() {
  obeyComposer();
  obeyReply();
  watchEdges();
  showMarked();
}
new MutationObserver(look).observe(document.documentElement, {
  subtree: true, childList: true, attributes: true,
  attributeFilter: ["data-accepted", "data-refused", "data-replying", "data-account", "class"],
});
look();
