/* Hipwatch: keyboard, focus, announcements and guards. Every action works without this file.

   data-row                 a row that j and k move to; Enter opens its [data-open] (or first link), x ticks its check box
   data-key="o"             this control answers the key: in the current row first, else anywhere on the page; a field, and the
                           first of several choices, takes the focus, a check box is ticked, all else is pressed
   data-focus               on <details>: opening it moves to its first field; elsewhere: takes focus after a swap
   data-arrives="/address"  on a part of a row: what it shows is fetched when the row is gone to, or its menu opened
   data-then="next"         on a form in a row: once it is saved, go on to the next row
   data-announce            its text is read out when it arrives
   data-dialog="id"         opens that <dialog>; data-close closes the one it is in
   data-dismiss             removes the toast it is in
   data-select-all          ticks every [data-select] of its [data-selection]; [data-bulk] shows while any is ticked
   data-needs-script        of no use without scripts; the style sheet hides it where there are none
   data-reveal="Hide"       shows what is typed into the password field beside it, and says the word while it does
   data-tabs                a row of tabs: the current one is moved into sight where not all fit
   data-repeat              a form that may be sent again at once (a download) */
(() => {
  "use strict";

  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const isShown = (element) => element.getClientRects().length > 0;
  const fields = "input:not([type=hidden]):not([disabled]), select:not([disabled]), textarea:not([disabled])";

  /* ---- The menu of a narrow screen: on a wide one it is a row, which nothing may leave open over the page ------------- */
  matchMedia("(min-width: 68.01rem)").addEventListener("change", () => {
    const menu = find(".nav:popover-open");
    if (menu) menu.hidePopover();
  });

  /* ---- Announcements: one polite region --------------------------------------------------------------------------- */
  const waiting = new Set();
  const say = (text) => {
    const region = find("#status");
    if (!region || !text) return;
    if (!waiting.size) {
      region.textContent = "";
      setTimeout(() => { region.textContent = [...waiting].join(" "); waiting.clear(); }, 60);
    }
    waiting.add(text.replace(/\s+/g, " ").trim());
  };
  const sayWhatArrived = (within) => {
    const news = all("[data-announce]", within);
    if (within.matches?.("[data-announce]")) news.unshift(within);
    say(news.map((item) => item.dataset.announce || item.textContent).join(" "));
  };
  const showFault = (text) => {
    const shelf = find("#toasts");
    const model = find("#toast-fault");
    if (!shelf || !model) return;
    const toast = model.content.cloneNode(true);
    find("p", toast).textContent = text;
    find(".toast", toast).dataset.announce = text;
    shelf.replaceChildren(toast);
  };

  /* ---- Single-key shortcuts, which can be switched off ------------------------------------------------------------- */
  const KEYS = "hipwatch.keys";
  const keysAreOff = () => { try { return localStorage.getItem(KEYS) === "off"; } catch { return false; } };
  const isTyping = (element) =>
    element.isContentEditable || element.matches("select, textarea, input:not([type=checkbox]):not([type=radio]):not([type=button]):not([type=submit])");

  const rows = () => all("[data-row]").filter(isShown);
  const currentRow = () => document.activeElement?.closest("[data-row]") ?? null;
  const goTo = (row) => {
    if (!row) return;
    if (!row.hasAttribute("tabindex")) row.tabIndex = -1;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
    for (const part of all("[data-arrives]", row)) fetchPart(part);
  };
  const focusFirst = (menu) => (find("[aria-invalid=true]", menu) ?? find(fields, menu))?.focus({ preventScroll: true });
  // What a row holds only when it is worked on. Until it is here, and without scripts, a link stands in its place.
  const fetchPart = async (part) => {
    const address = part.dataset.arrives;
    part.removeAttribute("data-arrives");
    part.setAttribute("aria-busy", "true");
    const menu = part.closest("details");
    try {
      const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
      const answer = await fetch(address, { headers, credentials: "same-origin" });
      const elsewhere = answer.headers.get("HX-Redirect"); // to the sign-in, or to the gate of a restricted record
      if (elsewhere) { if (menu?.open) location.assign(elsewhere); else part.dataset.arrives = address; return; }
      if (answer.redirected) { if (menu?.open) location.assign(find("a", part)?.href ?? answer.url); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      part.innerHTML = await answer.text();
      window.htmx?.process(part);
      prepare(part);
      if (!menu?.open) return;
      if (part.closest("[data-row]")?.contains(document.activeElement)) focusFirst(menu);
      part.scrollIntoView({ block: "nearest" });
    } catch {
      part.dataset.arrives = address;
      if (menu?.open) showFault(find("#toast-fault")?.dataset.unreachable);
    } finally {
      part.removeAttribute("aria-busy");
    }
  };
  const step = (by) => {
    const list = rows();
    const at = list.indexOf(currentRow());
    if (at < 0) goTo(by > 0 ? list[0] : list.at(-1));
    else goTo(list[at + by]);
  };
  const press = (key) => {
    const wanted = `[data-key="${CSS.escape(key)}"]`;
    const row = currentRow();
    const control = (row && all(wanted, row).find(isShown)) || all(wanted).find((element) => isShown(element) && !element.closest("[data-row]"));
    if (!control) return false;
    if (control.matches(fields) && !control.matches("[type=checkbox]")) control.focus();
    else control.click();
    return true;
  };
  const shortcuts = {
    "/": () => { const box = find("[data-search]"); box?.focus(); box?.select(); return Boolean(box); },
    "?": () => { openDialog("keys"); return true; },
    j: () => { step(1); return rows().length > 0; },
    k: () => { step(-1); return rows().length > 0; },
    x: () => { const box = currentRow()?.querySelector("[data-select]"); box?.click(); return Boolean(box); },
    Enter: () => {
      const row = currentRow();
      if (!row || row !== document.activeElement) return false;
      const link = find("[data-open]", row) ?? find("a[href]", row);
      link?.click();
      return Boolean(link);
    },
  };
  const closeMenu = () => {
    const menu = document.activeElement?.closest("details.menu[open]") ?? find("details.menu[open]");
    if (!menu) return false;
    menu.open = false;
    find("summary", menu).focus();
    return true;
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (find("dialog[open]")) return;
    if (event.key === "Escape") {
      if (closeMenu()) event.preventDefault();
      else if (isTyping(event.target)) event.target.blur();
      return;
    }
    if (keysAreOff() || isTyping(event.target)) return;
    const done = Object.hasOwn(shortcuts, event.key) ? shortcuts[event.key]() : press(event.key);
    if (done) event.preventDefault();
  });

  /* ---- Dialogs, menus, toasts --------------------------------------------------------------------------------------- */
  const openDialog = (id) => {
    const dialog = document.getElementById(id);
    if (dialog && !dialog.open) dialog.showModal();
    return dialog;
  };
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener && openDialog(opener.dataset.dialog)) event.preventDefault();
    event.target.closest("[data-close]")?.closest("dialog")?.close();
    event.target.closest("[data-dismiss]")?.closest(".toast")?.remove();
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!(menu instanceof HTMLDetailsElement) || !menu.open) return;
    for (const other of all("details.menu[open]")) if (other !== menu && !other.contains(menu)) other.open = false;
    find(".sheet", menu)?.scrollIntoView({ block: "nearest" });
    const awaited = find(".sheet[data-arrives]", menu);
    if (awaited) fetchPart(awaited);
    if (menu.hasAttribute("data-focus")) focusFirst(menu);
  }, true);

  /* ---- Selection and the bulk bar ----------------------------------------------------------------------------------- */
  const countSelected = (scope) => {
    const boxes = all("[data-select]", scope);
    const ticked = boxes.filter((box) => box.checked);
    for (const box of boxes) box.closest("[data-row]")?.classList.toggle("selected", box.checked);
    const master = find("[data-select-all]", scope);
    if (master) {
      master.checked = boxes.length > 0 && ticked.length === boxes.length;
      master.indeterminate = ticked.length > 0 && ticked.length < boxes.length;
    }
    for (const bar of all("[data-bulk]", scope)) { bar.hidden = ticked.length === 0; bar.dataset.counted = ""; }
    for (const number of all("[data-bulk-count]", scope)) number.textContent = String(ticked.length);
  };
  const scopeOf = (element) => element.closest("[data-selection]") ?? document.body;
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-select-all]")) for (const other of all("[data-select]", scopeOf(box))) other.checked = box.checked;
    if (box.matches("[data-select-all], [data-select]")) countSelected(scopeOf(box));
    if (box.matches("[data-keys-switch]")) try { localStorage.setItem(KEYS, box.checked ? "on" : "off"); } catch { /* private window */ }
    if (box.matches("[data-submit-on-change]")) box.form.requestSubmit();
  });

  /* ---- Sent once: a second click while the first is under way does nothing ------------------------------------------- */
  const release = (form) => {
    delete form.dataset.busy;
    for (const button of all("button.busy", form)) { button.classList.remove("busy"); button.removeAttribute("aria-disabled"); }
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("data-repeat") || form.target === "_blank") return;
    if (form.dataset.busy) { event.preventDefault(); return; }
    form.dataset.busy = "true";
    event.submitter?.classList.add("busy");
    event.submitter?.setAttribute("aria-disabled", "true");
  });
  addEventListener("pageshow", () => { for (const form of all("form[data-busy]")) release(form); });

  /* ---- htmx: focus stays where the work is, and what happened is said ------------------------------------------------- */
  let before = null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target.closest("form");
    if (form?.dataset.busy) { event.preventDefault(); return; }
    if (form && event.target === form) form.dataset.busy = "true";
    const list = rows();
    const row = event.target.closest("[data-row]");
    before = {
      element: document.activeElement, id: document.activeElement?.id, row: row?.id, next: list[list.indexOf(row) + 1]?.id,
      advance: Boolean(row) && form?.dataset.then === "next",
    };
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest?.("form");
    if (form) release(form);
    if (!event.detail.successful && document.activeElement === document.body) before?.element?.focus();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const arrived = event.target;
    prepare(arrived);
    sayWhatArrived(arrived);
    const fault = find(".error-summary, [aria-invalid=true]", arrived);
    const wanted = fault ?? find("[data-focus]:not(details)", arrived);
    if (wanted) { wanted.focus(); return; }
    if (before?.advance) { goTo(document.getElementById(before.next) ?? document.getElementById(before.row)); before = null; return; }
    if (document.activeElement === document.body) {
      const kept = before?.id && document.getElementById(before.id);
      if (kept) kept.focus(); else goTo(document.getElementById(before?.row) ?? null);
    }
  });
  document.addEventListener("announce", (event) => say(event.detail.value));
  document.addEventListener("htmx:responseError", (event) => {
    const number = event.detail.xhr.getResponseHeader("X-Request-Id");
    showFault(find("#toast-fault")?.dataset.refused + (number ? ` (${number})` : ""));
  });
  document.addEventListener("htmx:sendError", () => showFault(find("#toast-fault")?.dataset.unreachable));
  document.addEventListener("htmx:timeout", () => showFault(find("#toast-fault")?.dataset.unreachable));

  /* ---- Passwords ------------------------------------------------------------------------------------------------------ */
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-reveal]");
    const field = button && document.getElementById(button.getAttribute("aria-controls"));
    if (!field) return;
    field.type = field.type === "password" ? "text" : "password";
    [button.textContent, button.dataset.reveal] = [button.dataset.reveal, button.textContent];
    field.focus();
  });

  /* ---- At the start, and for each part that arrives later --------------------------------------------------------------- */
  const prepare = (within) => {
    for (const master of all("[data-select-all]", within)) countSelected(scopeOf(master));
    for (const box of all("[data-keys-switch]", within)) box.checked = !keysAreOff();
    showTabs(within);
  };
  const showTabs = (within) => { for (const tab of all("[data-tabs] [aria-current]", within)) showTab(tab); };
  const showTab = (tab) => {
    const row = tab.closest("[data-tabs]");
    row.scrollLeft = tab.offsetLeft + tab.offsetWidth / 2 - row.clientWidth / 2;
  };
  prepare(document.body);
  const showToday = () => {
    for (const drawing of all(".timeline .scroll")) { // where it is wider than the screen, it opens on today
      const today = find(".now-line", drawing)?.getBoundingClientRect();
      if (today) drawing.scrollLeft += today.left - drawing.getBoundingClientRect().left - drawing.clientWidth * 0.75;
    }
  };
  showToday();
  addEventListener("resize", () => { showTabs(document.body); showToday(); }); // a telephone was turned
  const shelf = find("#toasts");
  if (shelf) new MutationObserver(() => sayWhatArrived(shelf)).observe(shelf, { childList: true });
  const fault = find(".error-summary, main [data-focus]:not(details)");
  if (fault) fault.focus(); else sayWhatArrived(document.body);
})();
