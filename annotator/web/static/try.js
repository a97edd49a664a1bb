// Takes files that are dropped, shows how much of them is sent, and says how far media are; without it, pages load anew.
"use strict";

for (const form of document.querySelectorAll("form.try")) sending(form);
for (const list of document.querySelectorAll("[data-job]")) followingOne(list);
for (const list of document.querySelectorAll("[data-jobs]")) followingAll(list);

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

async function followingOne(list) {
  const words = document.querySelector("p[data-words]");
  await asking(list.dataset.job, (told) => {
    words.textContent = told.words;
    mark(list, told);
    if (isOver(told)) location.reload();
    return isOver(told);
  });
}

// One request for all of them: so many jobs, each asked for by itself, would be more than the server answers.
async function followingAll(list) {
  await asking(list.dataset.jobs, (told) => {
    const byId = new Map(told.items.map((one) => [String(one.job_id), one]));
    for (const job of list.querySelectorAll("[data-job-id]")) show(job, byId.get(job.dataset.jobId));
    return list.querySelector("[data-job-id]") === null;
  });
}

function show(job, told) {
  if (told) job.querySelector("[data-words]").textContent = told.words;
  if (told && !isOver(told)) return;
  delete job.dataset.jobId;
  if (!told) return;
  job.className = `job ${told.state}`;
  if (told.state === "done" && told.media_id !== null) job.querySelector("a").href = `/media/${told.media_id}`;
}

function isOver(told) {
  return told.state === "done" || told.state === "failed";
}

// Asks until it is told that it is over: soon at first, then less and less often, and not before the server says.
async function asking(address, tell) {
  let wait_ms = 700;
  let notBefore_ms = 0;
  for (;;) {
    const hidden_ms = document.hidden ? 5000 : 0;
    await new Promise((resolve) => setTimeout(resolve, Math.max(wait_ms, hidden_ms, notBefore_ms)));
    wait_ms = Math.min(wait_ms * 1.1, 5000);
    notBefore_ms = 0;
    try {
      const answer = await fetch(address);
      if (answer.status === 429 || answer.status >= 500) {
        notBefore_ms = 1000 * Number(answer.headers.get("Retry-After") || 5);
        continue;
      }
      if (!answer.ok || tell(await answer.json())) return;
    } catch {
      notBefore_ms = 5000; // the server is away: it may come again
    }
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
