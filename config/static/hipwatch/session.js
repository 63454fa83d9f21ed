/* Hipwatch: warns two minutes before one is signed out, and lets one stay. Other tabs count: the server is asked first. */
(() => {
  "use strict";

  const dialog = document.getElementById("session-warning");
  if (!dialog) return;
  const text = dialog.querySelector("#session-text");
  const form = dialog.querySelector("form");
  const stay = dialog.querySelector("[data-stay]");
  const warn = Number(dialog.dataset.warn);
  let timer = 0;

  const tell = (words, title) => {
    text.textContent = words;
    if (title) dialog.querySelector("h2").textContent = title;
    if (!dialog.open) dialog.showModal();
  };
  const over = () => {
    stay.hidden = true;
    tell(text.dataset.over);
  };
  const wait = (left) => {
    clearTimeout(timer);
    timer = setTimeout(ask, Math.min(Math.max(0, left - warn) * 1000, 2 ** 31 - 1));
  };
  const judge = ({ left, more }) => {
    if (left > warn + 5) {
      if (dialog.open) dialog.close();
      wait(left);
    } else if (left > 0) {
      stay.hidden = !more;
      tell(more ? text.dataset.before : text.dataset.last);
      clearTimeout(timer);
      timer = setTimeout(ask, (left + 1) * 1000);
    } else {
      over();
    }
  };
  const call = async (options) => {
    try {
      const answer = await fetch(dialog.dataset.url, { headers: { Accept: "application/json" }, ...options });
      judge(answer.ok ? await answer.json() : { left: 0 });
    } catch {
      clearTimeout(timer);
      timer = setTimeout(ask, 30000);
    }
  };
  const ask = () => call({});

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    call({ method: "POST", body: new FormData(form) });
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) wait(Number(dialog.dataset.left));
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  wait(Number(dialog.dataset.left));
})();
