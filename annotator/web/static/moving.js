// Faces on cards move while somebody points at the card or comes to it by keyboard; where nobody can point, while the card
// is in view, for three rounds. Each is asked for only then. Who asked for less motion, or for less to load, gets none.
"use strict";

(() => {
  const POINTED_MS = 120; // so long a pointer stays before a picture is asked for: it may only pass by
  const SEEN_MS = 400; // so long a card stays in view
  const ROUNDS_MS = 4500; // what moves by itself ends within five seconds
  const AT_ONCE = 2; // so many are asked for at once of those in view

  const isStill = matchMedia("(prefers-reduced-motion: reduce)");
  const cards = [...document.querySelectorAll(".clip")].filter((one) => one.querySelector("[data-moving]"));
  if (!cards.length) return;

  class Card {
    constructor(element) {
      this.pictures = [...element.querySelectorAll("[data-moving]")].map((image) => ({ image, still: image.src }));
      this.reasons = new Set();
      this.timer = 0;
      this.loading = [];
    }

    // Moves as long as there is a reason: it is pointed at, has the focus, or is in view.
    want(reason, after) {
      this.reasons.add(reason);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.play(), after);
    }

    leave(reason) {
      this.reasons.delete(reason);
      if (!this.reasons.size) this.stop();
    }

    async play() {
      if (isStill.matches || this.loading.length) return;
      await Promise.all(this.pictures.map((one) => this.load(one)));
    }

    // The still picture stays until the moving one is there whole.
    async load({ image }) {
      const moving = new Image();
      this.loading.push(moving);
      moving.src = image.dataset.moving;
      try {
        await moving.decode();
      } catch {
        return; // it could not be brought, or nobody looks any more
      }
      if (this.loading.includes(moving)) image.src = moving.src;
    }

    stop() {
      clearTimeout(this.timer);
      for (const moving of this.loading) if (!moving.complete) moving.src = "";
      this.loading = [];
      for (const { image, still } of this.pictures) if (image.src !== still) image.src = still;
    }
  }

  const ofElement = new Map(cards.map((element) => [element, new Card(element)]));
  for (const [element, card] of ofElement) {
    element.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "touch") card.want("pointer", POINTED_MS);
    });
    element.addEventListener("pointerleave", () => card.leave("pointer"));
    element.addEventListener("focusin", (event) => {
      if (event.target.matches(":focus-visible")) card.want("focus", POINTED_MS);
    });
    element.addEventListener("focusout", () => card.leave("focus"));
  }
  isStill.addEventListener("change", () => {
    if (isStill.matches) for (const card of ofElement.values()) card.stop();
  });

  const savesData = navigator.connection && navigator.connection.saveData;
  if (!matchMedia("(hover: none)").matches || savesData) return;

  const waiting = new Set();
  let playing = 0;

  async function next() {
    const [card] = waiting;
    if (!card || playing >= AT_ONCE) return;
    waiting.delete(card);
    playing += 1;
    card.reasons.add("view");
    await card.play();
    playing -= 1;
    setTimeout(() => card.leave("view"), ROUNDS_MS);
    next();
  }

  const timers = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const card = ofElement.get(target);
      clearTimeout(timers.get(target));
      if (isIntersecting) {
        timers.set(target, setTimeout(() => {
          waiting.add(card);
          next();
        }, SEEN_MS));
      } else {
        waiting.delete(card);
        card.leave("view");
      }
    }
  }, { threshold: 0.8 });
  for (const element of cards) watcher.observe(element);
})();
