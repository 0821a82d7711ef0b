// State of live runs and of the connection.

const STATES = {
  working: ["live", "good"],
  ended: ["ended", ""],
  interrupted: ["interrupted", "warning"],
  stopped: ["stopped", "warning"],
  unknown: ["incomplete", "warning"],
};

function badge(state) {
  const [name, kind] = STATES[state] ?? STATES.unknown;
  return h("span", { class: `badge ${kind}` }, name);
}

// State in the page's header: live, no run in progress, or connection lost.
const showState = part(document.getElementById("state"), ({ lost, working, states }) => {
  if (lost) return [h("span", { class: "dot bad" }), h("span", null, "connection lost", h("span", { class: "aside" }, ", reconnecting"))];
  if (working) return [h("span", { class: "dot good" }), h("span", null, "live")];
  return [h("span", { class: "dot" }), h("span", null, states.length === 1 ? STATES[states[0]][0] : "no run in progress")];
});

function tellState(summary, lost) {
  const states = summary.runs.filter((run) => run.live).map((run) => run.live.state);
  const place = document.getElementById("state");
  place.hidden = !lost && states.length === 0;
  document.documentElement.toggleAttribute("data-lost", lost);
  showState({ lost, working: states.includes("working"), states });
}

// Progress bar and throughput of a run.
function progress(run) {
  const { live } = run;
  const share = live.total ? Math.min(live.ended / live.total, 1) : null;
  const bar = h("div", { class: "progress", "aria-hidden": "true" }, h("span", { class: live.state === "working" ? "good" : null }));
  bar.hidden = share === null;
  bar.firstChild.style.width = `${100 * (share ?? 0)}%`;
  return [h("p", { class: "doing" }, badge(live.state), doing(run)), bar];
}

// Number of ended queries, without those in progress again, and, for a live run, its throughput.
function doing({ live }) {
  const found = [live.total ? `${whole(live.ended)} of ${plural(live.total, "query", "queries")}` : plural(live.ended, "query", "queries")];
  if (live.reading) found.push("loading");
  if (live.under_way) found.push(`${whole(live.under_way)} in progress`);
  if (live.queries_a_minute !== null) found.push(`${live.queries_a_minute < 10 ? live.queries_a_minute.toFixed(1) : whole(live.queries_a_minute)} per minute`);
  if (live.tokens_a_second !== null) found.push(`${compact(live.tokens_a_second)} tokens/s`);
  if (live.seconds_left) found.push(`${duration(live.seconds_left)} left`);
  return found.map((text, i) => h("span", { class: i ? "aside" : null }, text));
}
