// Data source of a live page: its server. It has the functions of source-embedded.js:
//
//   summary()            data of the overview, with the chosen runs and their hues
//   index(run)           the columns of the run's table; only new rows are requested
//   trajectory(run, row) one trajectory, requested when it is opened
//   watch(listener)      calls the listener, without arguments, when the runs change
//
// and two more: choose(run, on) adds a run to the figures or removes it, lost() is true while the server is unreachable.

const HUES = 8;
const SILENCE = 15000; // milliseconds without a word, after which the connection is taken for lost
const AGAIN = 1000; // milliseconds until the next try to connect
const BREATH = 300; // milliseconds between two looks at the least

function makeSource() {
  const tables = new Map();
  const listeners = [];
  const slots = Array(HUES).fill(null); // by hue, the run that is shown in it
  let picked = false; // whether somebody chose; until then the runs that began last are shown
  let runs = [];
  let session = null;
  let drawn = { figures: null, comparisons: [] };
  let lost = false;
  let wake = () => {};

  async function ask(path) {
    const answer = await fetch(path, { cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.text()).trim() || `the server answers ${answer.status}`);
    return answer.json();
  }

  const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const chosen = () => slots.filter((run) => run !== null).sort((a, b) => a - b);

  async function summary() {
    const told = await ask("data/summary");
    if (session !== null && session !== told.session) restarted(told.runs);
    session = told.session;
    const before = chosen().join(",");
    for (let run = runs.length; run < told.runs.length; run += 1) if (!picked) show(run);
    runs = told.runs;
    if (before !== chosen().join(",")) wake(); // other runs have figures of their own, and need not wait
    const hues = new Map(slots.map((run, hue) => [run, hue]));
    return { ...told, ...drawn, chosen: chosen(), hues, room: slots.includes(null) };
  }

  // Assign a free hue, or the hue of the run that started first.
  function show(run) {
    const free = slots.indexOf(null);
    slots[free >= 0 ? free : slots.indexOf(Math.min(...slots))] = run;
  }

  // Another server may number the runs differently: shown and open runs are matched by name.
  function restarted(next) {
    const number = (run) => next.findIndex((other) => other.name === runs[run]?.name);
    tables.clear();
    slots.forEach((run, hue) => {
      const now = run === null ? -1 : number(run);
      slots[hue] = now < 0 ? null : now;
    });
    const [view, run, row] = location.hash.slice(1).split("/");
    const now = /^\d+$/.test(run ?? "") ? number(Number(run)) : -1;
    if (now >= 0 && now !== Number(run)) location.replace(`#${[view, now, ...(row === undefined ? [] : [row])].join("/")}`);
    runs = next.slice(0, runs.length);
  }

  async function index(run) {
    const table = tables.get(run) ?? { life: null, generation: 0, changes: 0, stamp: "", revisions: new Map() };
    tables.set(run, table);
    for (let more = true; more; ) {
      const from = table.id?.length ?? 0;
      const piece = await ask(`data/runs/${run}/rows?generation=${table.generation}&from=${from}&changes=${table.changes}`);
      if (tables.get(run) !== table) return index(run);
      take(table, piece);
      more = piece.more;
    }
    return table;
  }

  function take(table, piece) {
    const life = `${session}.${piece.generation}`;
    if (table.life !== life || table.generation !== piece.generation) {
      table.revisions.clear();
      for (const name of Object.keys(piece.columns)) table[name] = [];
    }
    Object.assign(table, { life, generation: piece.generation, changes: piece.changes });
    if (piece.start !== table.id.length) return; // somebody else was faster
    for (const [name, values] of Object.entries(piece.columns)) for (const value of values) table[name].push(value);
    piece.revised.forEach((row, i) => {
      table.revisions.set(row, piece.changes);
      for (const [name, values] of Object.entries(piece.revisions)) table[name][row] = values[i];
    });
    table.stamp = `${life}.${table.id.length}.${table.changes}`;
  }

  async function trajectory(run, row) {
    const { generation } = tables.get(run) ?? (await index(run));
    return ask(`data/runs/${run}/queries/${row}?generation=${generation}`);
  }

  // The pause between requests is proportional to the time of a request.
  let looking = false;
  let dirty = false;
  async function look() {
    dirty = true;
    if (looking) return;
    looking = true;
    while (dirty) {
      dirty = false;
      const start = performance.now();
      for (const listener of listeners) await listener().catch(() => {}); // a server that is gone is told elsewhere
      await rest(Math.max(BREATH, 4 * (performance.now() - start)));
    }
    looking = false;
  }

  // Figures are requested at an interval set by the server.
  let drawing = false;
  let outdated = true;
  async function draw() {
    outdated = true;
    if (drawing) return;
    drawing = true;
    try {
      while (outdated) {
        outdated = false;
        const asked = chosen().join(",");
        const found = await ask(`data/figures?runs=${asked}`);
        if (asked !== chosen().join(",")) {
          outdated = true;
          continue;
        }
        drawn = found;
        look();
        await Promise.race([rest(1000 * found.pause), new Promise((resolve) => (wake = () => resolve((outdated = true))))]);
      }
    } catch {
      outdated = true; // the next change brings them
    } finally {
      drawing = false;
    }
  }

  let stream = null;
  let timer = null;
  let change = null;
  function connect() {
    close();
    stream = new EventSource("data/changes");
    stream.onmessage = (event) => heard(JSON.parse(event.data));
    stream.onerror = () => silent();
    timer = setTimeout(silent, SILENCE);
  }

  function close() {
    clearTimeout(timer);
    stream?.close();
    stream = null;
  }

  function heard(told) {
    clearTimeout(timer);
    timer = setTimeout(silent, SILENCE);
    const changed = lost || told.session !== session || told.change !== change;
    lost = false;
    change = told.change;
    if (changed || runs.some((run) => run.live.state === "working")) look();
    if (changed) look().then(draw);
  }

  function silent() {
    close();
    lost = true;
    look();
    timer = setTimeout(connect, AGAIN);
  }

  // Browsers allow few connections per server: a hidden page keeps none open.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : connect()));

  return {
    summary,
    index,
    trajectory,
    lost: () => lost,
    watch(listener) {
      listeners.push(listener);
      if (stream === null) connect();
    },
    choose(run, on) {
      picked = true;
      const place = slots.indexOf(run);
      if (on && place < 0) show(run);
      else if (!on && place >= 0) slots[place] = null;
      look();
      draw();
      wake();
    },
  };
}
