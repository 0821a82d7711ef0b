// Data source of a page that is a file: blocks inside the file. The live view uses source-live.js instead,
// with the same makeSource() and the same four functions:
//
//   summary()            data of the overview
//   index(run)           the columns of the run's table of queries
//   trajectory(run, row) one trajectory, each text once
//   watch(listener)      calls the listener, without arguments, when the runs change
//
// Texts follow this script in chunks, so that the page is shown before they are loaded.

function makeSource() {
  const KEPT = 6;
  const chunks = new Map();
  const tables = new Map();

  async function unfolded(name) {
    const element = await arrived(name);
    const packed = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  // An element is complete once the parser has passed it.
  async function arrived(name) {
    for (;;) {
      const whole = document.readyState !== "loading";
      const element = document.getElementById(name);
      if (element && (whole || element.nextSibling)) return element;
      if (whole) throw new Error(`this file is not whole: ${name} is missing`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  function chunk(name) {
    const found = chunks.get(name) ?? unfolded(name);
    chunks.delete(name);
    chunks.set(name, found);
    found.catch(() => chunks.delete(name));
    if (chunks.size > KEPT) chunks.delete(chunks.keys().next().value);
    return found;
  }

  function index(run) {
    if (!tables.has(run)) tables.set(run, unfolded(`index-${run}`));
    return tables.get(run);
  }

  return {
    summary: () => unfolded("summary"),
    index,
    async trajectory(run, row) {
      const first = (await index(run)).starts;
      let number = first.length - 1;
      while (first[number] > row) number -= 1;
      return (await chunk(`texts-${run}-${number}`))[row - first[number]];
    },
    watch() {},
  };
}
