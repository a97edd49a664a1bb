// One key for each answer, and the next item without loading the page anew. Without this script the buttons do the same.
"use strict";

let isSending = false;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const meant = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!meant || meant.disabled) return;
  event.preventDefault();
  if (meant.matches("input")) meant.focus();
  else meant.click();
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-swap]")) return;
  event.preventDefault();
  if (!isSending) send(event.target, event.submitter);
});

function send(form, button) {
  isSending = true;
  document.querySelector("main").setAttribute("aria-busy", "true");
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.responseType = "document"; // parsed by the browser: no text of the page becomes markup here
  request.addEventListener("load", () => show(request.response));
  request.addEventListener("error", failed);
  request.send(new URLSearchParams(new FormData(form, button)));
}

// The answer may have arrived or not: whoever presses again says the same once more, which changes nothing.
function failed() {
  isSending = false;
  const main = document.querySelector("main");
  main.removeAttribute("aria-busy");
  main.querySelector("[role=status]").textContent = "The server could not be reached: answer again.";
}

function show(page) {
  isSending = false;
  const next = page && page.querySelector("main");
  if (!next) { location.reload(); return; }
  document.querySelector("main").replaceWith(document.adoptNode(next));
  document.title = page.title;
  window.scrollTo(0, 0);
}
