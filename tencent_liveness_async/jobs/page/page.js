"use strict";
(() => {
  const table = document.querySelector("table.photos");
  if (!table) return;
  const form = document.querySelector(".controls");
  const status = document.querySelector("#shown");
  const headers = Array.from(table.tHead.rows[0].cells);
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const collator = new Intl.Collator("en", { numeric: true });

  function filter() {
    const { text, state, code } = form.elements;
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits =
        (!state.value || row.dataset.state === state.value) &&
        (!code.value || row.dataset.code === code.value) &&
        words.every((word) => texts.get(row).includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    status.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
  }

  function read(row, column, kind) {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent;
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  }

  function isEmpty(value) {
    return value === null || value === "";
  }

  /* Cells without a value stay at the end, whichever way the others are sorted. */
  function compare(one, other, sign) {
    if (isEmpty(one) || isEmpty(other)) return isEmpty(one) - isEmpty(other);
    return sign * (typeof one === "number" ? one - other : collator.compare(one, other));
  }

  function sort(column) {
    const header = headers[column];
    const isAscending = header.getAttribute("aria-sort") !== "ascending";
    const values = new Map(rows.map((row) => [row, read(row, column, header.dataset.kind)]));
    rows.sort((one, other) => compare(values.get(one), values.get(other), isAscending ? 1 : -1));
    body.append(...rows);
    for (const each of headers) each.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
  }

  headers.forEach((header, column) => header.firstElementChild.addEventListener("click", () => sort(column)));
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();
