// Takes files that are dropped, shows how much of them is sent, and says how far media are; without it, pages load anew.
"use strict";

for (const form of document.querySelectorAll("form.try")) sending(form);
for (const job of document.querySelectorAll("[data-job]")) following(job);

function sending(form) {
  const files = form.querySelector("input[type=file]");
  const address = form.querySelector("input[name=url]");
  const drop = form.querySelector("[data-drop]");
  const refused = form.querySelector("[data-refused]");
  const sent = form.querySelector("[data-sending]");
  const button = form.querySelector("button");

  form.querySelector("[data-can-drop]").hidden = false;
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    files.files = event.dataTransfer.files;
    if (files.files.length) form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = whatIsWrong();
    if (wrong) refuse(wrong);
    else send();
  });

  function whatIsWrong() {
    const most = Number(form.dataset.mostBytes);
    const large = [...files.files].find((file) => file.size > most);
    if (large) return `${large.name} is too large: one file may have ${Math.floor(most / 1048576)} MiB.`;
    if (files.files.length > Number(form.dataset.mostFiles)) return `At most ${form.dataset.mostFiles} files at once.`;
    if (!files.files.length && !address.value.trim()) return "Choose a file, or give the address of a media.";
    return "";
  }

  function refuse(words) {
    refused.textContent = words;
    refused.hidden = false;
    sent.hidden = true;
    button.disabled = false;
  }

  // XMLHttpRequest tells how much is sent; fetch does not.
  function send() {
    const request = new XMLHttpRequest();
    const bar = sent.querySelector("progress");
    refused.hidden = true;
    sent.hidden = false;
    button.disabled = true;
    request.upload.addEventListener("progress", (event) => {
      bar.value = event.total ? event.loaded / event.total : 0;
      sent.querySelector("[data-sent]").textContent = `${Math.floor(bar.value * 100)} % sent`;
    });
    request.addEventListener("load", () => {
      if (request.status === 200) location.assign(request.responseURL);
      else refuse(detailOf(request.responseText));
    });
    request.addEventListener("error", () => refuse("It could not be sent: too large, or the server does not answer."));
    request.open("POST", form.action);
    request.send(new FormData(form));
  }

  function detailOf(html) {
    const found = /<h1>[^<]*<\/h1>\s*<p>([^<]*)<\/p>/.exec(html);
    if (!found) return "It was refused.";
    const plain = { amp: "&", lt: "<", gt: ">", "#34": '"', "#39": "'" };
    return found[1].replace(/&(amp|lt|gt|#34|#39);/g, (_, name) => plain[name]);
  }
}

async function following(job) {
  const words = job.querySelector("[data-words]") || document.querySelector("p[data-words]");
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 5000 : 700));
    let told;
    try {
      const answer = await fetch(job.dataset.job);
      if (answer.status === 429 || answer.status >= 500) continue;
      if (!answer.ok) return;
      told = await answer.json();
    } catch {
      continue; // the server is away: it may come again
    }
    words.textContent = told.words;
    if (job.dataset.then === "reload") {
      if (told.state === "done" || told.state === "failed") location.reload();
      mark(job, told);
    } else if (told.state === "done" || told.state === "failed") {
      job.className = `job ${told.state}`;
      if (told.state === "done" && told.media_id !== null) {
        job.querySelector("a").href = `/media/${told.media_id}`;
      }
    }
    if (told.state === "done" || told.state === "failed") return;
  }
}

function mark(list, told) {
  const stages = [...list.querySelectorAll("[data-stage]")];
  const reached = stages.findIndex((stage) => stage.dataset.stage === (told.stage || "waiting"));
  stages.forEach((stage, place) => {
    stage.classList.toggle("past", place < reached);
    if (place === reached) stage.setAttribute("aria-current", "step");
    else stage.removeAttribute("aria-current");
  });
}
