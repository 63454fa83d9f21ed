/* The API's reference: a button that copies a call. Where a browser keeps its clipboard to itself, the text is selected. */
document.addEventListener("click", async (event) => {
  "use strict";
  const button = event.target.closest("[data-copy]");
  const source = button && document.getElementById(button.dataset.copy);
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent);
    document.dispatchEvent(new CustomEvent("announce", { detail: { value: button.dataset.copied } }));
    button.firstChild.data = button.dataset.copied;
  } catch {
    getSelection().selectAllChildren(source);
  }
});
