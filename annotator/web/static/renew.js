// Brings the part of a page up to date that goes on by itself, and loads the page anew when that is over.
"use strict";
(() => {
  const part = document.querySelector("#now[data-renew]");
  if (!part) return;
  const everyMs = 1500;
  const longestMs = 60000;
  let waitMs = everyMs;

  // A request for a document gives one without handing text over to be read as HTML, which the page may not do.
  const ask = () => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.timeout = 20000;
    request.onload = () => {
      const found = request.status === 200 && request.response ? request.response.getElementById("now") : null;
      if (found && "renew" in found.dataset) show(found);
      else if (found || (request.status >= 300 && request.status < 500)) location.replace(location.pathname + location.search); // with GET, also where a form was sent
      else later(false);
    };
    request.onerror = request.ontimeout = () => later(false);
    request.send();
  };

  // What somebody has reached by the keyboard stays under their fingers.
  const show = (found) => {
    if (!part.contains(document.activeElement)) {
      part.replaceChildren(...Array.from(found.childNodes, (node) => document.importNode(node, true)));
    }
    later(true);
  };

  const later = (went) => {
    waitMs = went ? everyMs : Math.min(waitMs * 2, longestMs);
    setTimeout(() => (document.hidden ? later(true) : ask()), waitMs);
  };

  later(true);
})();
