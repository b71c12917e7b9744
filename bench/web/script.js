"use strict";
// Sorts a table by the heading that is pressed. Cells carry what they are sorted by in data-sort:
// a number in base units or text in lower case; a cell without it stays last either way.

const collator = new Intl.Collator("en", { numeric: true });

function compare(first, second) {
  const numbers = [Number(first), Number(second)];
  if (numbers.every(Number.isFinite)) return numbers[0] - numbers[1];
  return collator.compare(first, second);
}

function sort(table, column, direction) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].dataset.sort;
  const rows = [...body.rows];
  const known = rows.filter((row) => key(row) !== undefined);
  const unknown = rows.filter((row) => key(row) === undefined);
  known.sort((first, second) => direction * compare(key(first), key(second)));
  body.append(...known, ...unknown);
}

function press(table, heading) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentNode.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  sort(table, heading.cellIndex, ascending ? 1 : -1);
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => press(table, heading));
  }
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
