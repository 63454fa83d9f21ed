/* Hipwatch: recording a visit. Shows what is still missing, adds the scores up and keeps a draft while typing; the server decides. */
(() => {
  "use strict";

  const form = document.querySelector("form.visit");
  if (!form) return;

  /* ---- Scores: the points stand in the options' words, "slight (40)" ------------------------------------------------ */
  const pointsOf = (select) => {
    const found = /\((\d+)\)$/.exec(select.selectedOptions[0]?.textContent.trim() ?? "");
    return found ? Number(found[1]) : null;
  };
  const HOOS = [100, 92.34, 85.257, 80.55, 76.776, 73.472, 70.426, 67.516, 64.664, 61.815, 58.93, 55.985, 52.965, 49.858, 46.652,
    43.335, 39.902, 36.363, 32.735, 29.009, 25.103, 20.805, 15.633, 8.104, 0];
  const within = (value, low, high) => Math.max(0, Math.min(value, high) - low);
  const harris = (section) => {
    const control = (name) => section.querySelector(`[name$="-${name}"]`);
    const number = (name) => { const box = control(name); return box.value === "" ? NaN : Number(box.value); };
    const domains = ["pain", "limp", "support", "distance", "stairs", "shoes_socks", "sitting", "transport"];
    const options = domains.map((name) => pointsOf(control(name)));
    const [flexed, adducted, rotated, difference] = ["fixed_flexion", "fixed_adduction", "fixed_internal_rotation", "leg_length_difference_cm"].map(number);
    const arcs = ["flexion", "abduction", "external_rotation", "adduction", "internal_rotation"].map(number);
    const measured = section.querySelectorAll("input[type=number]");
    if (![...measured].every((box) => box.validity.valid)) return null; // an angle that no hip has gives no total
    if (options.includes(null) || [flexed, adducted, rotated, difference, ...arcs].some(Number.isNaN)) return null;
    const straight = flexed < 30 && adducted < 10 && rotated < 10 && difference < 3.2 ? 4 : 0;
    const [flexion, abduction, external, adduction] = arcs;
    const whole = arcs.reduce((sum, arc) => sum + arc, 0);
    const table = [30, 60, 100, 160, 210].filter((cut) => whole > cut).length;
    const weighted = within(flexion, 0, 45) + 0.6 * within(flexion, 45, 90) + 0.3 * within(flexion, 90, 110) + 0.8 * within(abduction, 0, 15) +
      0.3 * within(abduction, 15, 20) + 0.4 * within(external, 0, 15) + 0.2 * within(adduction, 0, 15);
    const motion = control("variant").value === "HARRIS_1969" ? Math.min(5, 0.05 * weighted) : table;
    return options.reduce((sum, points) => sum + points, straight + motion);
  };
  const hoos = (section) => {
    const answers = [...section.querySelectorAll("select")].map((select) => select.value);
    return answers.includes("") ? null : HOOS[answers.reduce((sum, answer) => sum + Number(answer), 0)];
  };
  const showTotals = () => {
    for (const line of form.querySelectorAll("[data-total]")) {
      const total = (line.dataset.total === "harris" ? harris : hoos)(line.closest("details"));
      line.hidden = total === null;
      line.querySelector("output").textContent = total === null ? "" : `${line.closest("details").querySelector("summary span").firstChild.textContent.trim()}: ${Math.round(total * 1000) / 1000}`;
    }
  };

  /* ---- What the follow-up still lacks: struck once it is filled in --------------------------------------------------- */
  const showNeeds = () => {
    for (const hip of form.querySelectorAll("section.hip")) {
      const ticked = (values) => values.some((value) => hip.querySelector(`[name$="-radiograph-views"][value="${value}"]`)?.checked);
      const asked = hip.querySelector('[name$="-symptom-symptomatic"]:checked')?.value || hip.querySelector('[name$="-symptom-pain_nrs"]')?.value;
      const clinician = hip.querySelector('[name$="-symptom-source"]')?.value === "clinician";
      const have = { ap: ticked(["AP_PELVIS", "AP_HIP"]), lateral: ticked(["FROG_LATERAL"]), symptoms: Boolean(asked) && clinician };
      for (const need of hip.querySelectorAll("[data-need]")) need.classList.toggle("have", have[need.dataset.need]);
    }
  };

  const refresh = () => { showTotals(); showNeeds(); };
  form.addEventListener("input", refresh);
  form.addEventListener("change", refresh);
  refresh();

  /* ---- Draft: kept two seconds after the last change, and when the page is left ------------------------------------------ */
  const status = document.querySelector("#draft-status");
  let waiting = 0, unkept = false;
  const keep = async () => {
    clearTimeout(waiting);
    unkept = false;
    try {
      const answer = await fetch(form.dataset.draft, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
      if (answer.redirected || answer.status === 401 || answer.status === 403) status.textContent = form.dataset.signedOut;
      else if (answer.ok || answer.status === 413) status.textContent = (await answer.json()).words;
      else throw new Error(String(answer.status));
    } catch {
      unkept = true;
      status.textContent = form.dataset.notKept;
    }
  };
  const changed = () => { unkept = true; clearTimeout(waiting); waiting = setTimeout(keep, 2000); };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("submit", () => { clearTimeout(waiting); unkept = false; });
  addEventListener("pagehide", () => { if (unkept) navigator.sendBeacon(form.dataset.draft, new FormData(form)); });

  /* A field with a problem is never left hidden in a closed section. */
  for (const wrong of form.querySelectorAll(".field-error")) {
    const section = wrong.closest("details");
    if (section) section.open = true;
  }
})();
