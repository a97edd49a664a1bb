// Brings the part of the page up to date that goes on by itself. Without it the page shows how things were.
"use strict";
(() => {
  const part = document.getElementById("now");
  const told = document.getElementById("refreshed");
  if (!part) return;
  const everyMs = 5000;
  const longestMs = 60000;
  let waitMs = everyMs;

  // A request for a document gives one without handing text over to be read as HTML, which the page may not do.
  const ask = () => {
    const request = new XMLHttpRequest();
    request.open("GET", part.dataset.now);
    request.responseType = "document";
    request.timeout = 20000;
    request.onload = () => {
      // Who is logged out meanwhile is sent to another page.
      const isOurs = request.status === 200 && request.responseURL === new URL(part.dataset.now, location).href;
      const body = isOurs && request.response ? request.response.body : null;
      show(body);
      later(body !== null);
    };
    request.onerror = request.ontimeout = () => {
      show(null);
      later(false);
    };
    request.send();
  };

  const show = (body) => {
    told.hidden = body !== null;
    if (body === null) {
      told.textContent = "It could not be brought up to date just now; it is tried again.";
      return;
    }
    // What has come to its end changes the rest of the page, too.
    if (body.querySelector("[data-is-over]")) {
      location.reload();
      return;
    }
    // What somebody has reached by the keyboard, or is about to press, stays under their fingers.
    if (part.contains(document.activeElement) || part.querySelector("form:hover")) return;
    part.replaceChildren(...Array.from(body.childNodes, (node) => document.importNode(node, true)));
  };

  const later = (went) => {
    waitMs = went ? everyMs : Math.min(waitMs * 2, longestMs);
    setTimeout(() => (document.hidden ? later(true) : ask()), waitMs);
  };

  later(true);
})();
