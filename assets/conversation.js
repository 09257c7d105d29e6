// The chat page in the browser: the composer (Enter, draft, nonce, limit), older messages on
// scroll, other tabs, the title when an answer arrives unseen. Delegated: the page may come later.

const tabs = new BroadcastChannel("turns");
const POLL_SECONDS = 4;
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
  const line = byId("prompt-limit");
  const excess = prompt.value.length > Number(prompt.dataset.max) ? tooMany(prompt) : 0;
  const words = line.dataset.words.replace("{count}", excess.toLocaleString(document.documentElement.lang));
  const text = excess > 0 ? words : "";
  if (line.textContent !== text) line.textContent = text;
  prompt.toggleAttribute("aria-invalid", excess > 0);
  if (excess > 0) prompt.setAttribute("aria-invalid", "true");
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
  writeDraft({ text: event.target.value });
});

document.addEventListener("keydown", (event) => {
  if (event.target.id !== "prompt" || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

// Before React hears of it: what may not be sent stays, what is sent gets its nonce.
document.addEventListener(
  "submit",
  (event) => {
    if (event.target.id !== "composer") return;
    const prompt = byId("prompt");
    const text = prompt.value;
    if (!text.trim() || tooMany(prompt) > 0 || event.target.dataset.replying === "true") {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    const earlier = readDraft();
    const nonce = earlier.text === text && earlier.nonce ? earlier.nonce : newNonce();
    event.target.elements.nonce.value = nonce;
    writeDraft({ text, nonce });
    // After React has read the form.
    setTimeout(() => {
      prompt.value = "";
      toEnd();
    });
  },
  true,
);

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-edit], [data-try], [data-copy-code]");
  if (!button) return;
  if (button.dataset.edit) setPrompt(byId(button.dataset.edit).textContent);
  else if (button.dataset.try) setPrompt(button.dataset.try);
  else copyCode(button);
});

async function copyCode(button) {
  await navigator.clipboard.writeText(button.closest("figure").querySelector("code").innerText);
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1500);
}

// The log is laid out from its end (column-reverse), so 0 is the end and older messages can be
// put in above without a jump.
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
    tabs.postMessage("sent");
  } else if (draft.nonce && draft.nonce === refused) {
    writeDraft({ text: draft.text });
    if (!prompt.value) setPrompt(draft.text);
  } else if (account && prompt.dataset.restored !== account) {
    prompt.dataset.restored = account;
    if (!prompt.value && draft.text) setPrompt(draft.text);
  }
}

// The title tells of an answer that arrived while nobody looked.
let wasReplying = false;
let plainTitle = null;
function obeyReply() {
  const isReplying = byId("composer")?.dataset.replying === "true";
  if (wasReplying && !isReplying && document.hidden) {
    plainTitle ??= document.title;
    document.title = `● ${byId("composer").dataset.arrived}`;
  }
  wasReplying = isReplying;
}

const check = () => document.hidden || byId("check")?.click();
tabs.addEventListener("message", () => byId("check")?.click());
setInterval(() => wasReplying || check(), POLL_SECONDS * 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (plainTitle !== null) document.title = plainTitle;
  plainTitle = null;
  check();
});

const nearTop = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) entry.target.click();
}, { rootMargin: "600px 0px 0px 0px" });

let watched = null;
let shownCount = 0;
function watchOlder() {
  const older = byId("older");
  const count = document.querySelectorAll(".messages > li").length;
  if (older === watched && count === shownCount) return;
  nearTop.disconnect();
  if (older) nearTop.observe(older);
  watched = older;
  shownCount = count;
}

// A message that was asked for by its address is brought into view, once.
let broughtIntoView = "";
function showMarked() {
  const marked = document.querySelector(".row.is-marked");
  const id = marked?.dataset.message ?? "";
  if (id && id !== broughtIntoView) marked.scrollIntoView({ block: "center" });
  broughtIntoView = id;
}

function look() {
  obeyComposer();
  obeyReply();
  watchOlder();
  showMarked();
}
new MutationObserver(look).observe(document.documentElement, {
  subtree: true, childList: true, attributes: true,
  attributeFilter: ["data-accepted", "data-refused", "data-replying", "data-account", "class"],
});
look();
