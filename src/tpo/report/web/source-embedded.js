// Where the page's data comes from: blocks inside this very file. A live view brings a file of its own in place
// of this one, with the same makeSource() and the same four promises:
//
//   summary()            everything that the overview shows
//   index(run)           the columns of the run's table of queries
//   trajectory(run, row) one trajectory, its texts once each
//   watch(listener)      calls the listener, without arguments, whenever the runs have changed
//
// Texts come behind this script, by the chunk, so that the page is there before they are.

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

  // An element is whole once the parser has gone on behind it.
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
