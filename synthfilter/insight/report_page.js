"use strict";
// Searches the samples. Nothing becomes HTML here: rows are shown or hidden.
(() => {
  const byId = (id) => document.getElementById(id);
  const all = [...document.querySelectorAll("details")];

  // On paper everything is open.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all.filter((one) => !one.open);
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
    folded = [];
  });

  const table = byId("samples-table");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map((row) => ({
    row,
    reason: row.dataset.reason,
    text: row.textContent.toLowerCase(),
  }));
  const search = byId("search");
  const reason = byId("reason");

  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const one of rows) {
      const fits =
        (!reason.value || one.reason === reason.value) &&
        words.every((word) => one.text.includes(word));
      one.row.hidden = !fits;
      found += fits;
    }
    byId("found").textContent = `${found} of ${rows.length} samples`;
  }

  search.addEventListener("input", show);
  reason.addEventListener("change", show);
  byId("tools").hidden = false;
  byId("all-samples").open = true;
  show();
})();
