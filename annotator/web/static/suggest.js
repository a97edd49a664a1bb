// Suggests names in fields with data-suggest, by the browser's own list: it works with a keyboard and a screen reader.
"use strict";

document.querySelectorAll("input[data-suggest]").forEach(attach);
// Fields that come with a part of a page which is exchanged later.
document.addEventListener("focusin", (event) => {
  if (event.target.matches("input[data-suggest]:not([list])")) attach(event.target);
});

function attach(field) {
  const list = document.createElement("datalist");
  list.id = `suggestions-${Math.random().toString(36).slice(2)}`;
  field.setAttribute("list", list.id);
  field.after(list);
  let asked = "";
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => suggest(field, list), 120);
  });

  async function suggest() {
    const typed = field.value.trim();
    if (typed.length < 2 || typed === asked) return;
    asked = typed;
    const answer = await fetch(`${field.dataset.suggest}?limit=10&q=${encodeURIComponent(typed)}`);
    if (!answer.ok || field.value.trim() !== typed) return;
    const people = await answer.json();
    list.replaceChildren(...people.items.map((person) => new Option(person.name, person.name)));
  }
}
