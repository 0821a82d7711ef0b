// Keyboard shortcuts.

const KEYS = [
  ["1, 2", "overview, queries"],
  ["3", "results, if the runs were graded"],
  ["/", "search"],
  ["↑ ↓ Page Home End", "in the table: move through the rows"],
  ["Enter", "in the table: open the row"],
  ["j, k", "next trajectory, previous trajectory"],
  ["Esc", "close the trajectory"],
  ["?", "keyboard shortcuts"],
];

function listenToKeys(queries) {
  const help = document.getElementById("help");
  fill(help, h("h2", null, "Keyboard shortcuts"), h("dl", { class: "pairs" }, KEYS.map(([key, does]) => [h("dt", null, h("kbd", null, key)), h("dd", null, does)])), h("button", { type: "button", onclick: () => help.close() }, "Close"));
  document.getElementById("help-button").addEventListener("click", () => help.showModal());
  const does = {
    1: () => (location.hash = "overview"),
    2: () => (location.hash = "queries"),
    3: () => (location.hash = "results"),
    "/": () => {
      if (!location.hash.startsWith("#queries")) location.hash = "queries";
      setTimeout(() => queries.search.focus(), 0);
    },
    j: () => queries.move(1),
    k: () => queries.move(-1),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const writing = event.target.matches?.("input[type=search], select, textarea");
    if (event.key === "Escape") {
      if (writing) event.target.blur();
      else if (/^#queries\/\d+\/\d+/.test(location.hash)) queries.close();
      return;
    }
    if (writing || !(event.key in does)) return;
    if (/[jk]/.test(event.key) && !location.hash.startsWith("#queries")) return;
    event.preventDefault();
    does[event.key]();
  });
}
