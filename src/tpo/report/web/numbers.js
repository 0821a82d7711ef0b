// Formatting of numbers.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function whole(value) {
  return value === null || value === undefined ? null : WHOLE.format(value).replace("-", "−");
}

function compact(value) {
  return value === null || value === undefined ? null : SHORT.format(value).replace("-", "−");
}

// Formats a reward: three decimals near zero, fewer for large numbers.
function reward(value) {
  if (value === null || value === undefined) return null;
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return unsignedZero(value.toFixed(digits)).replace("-", "−");
}

// Removes the sign of a number that rounds to zero.
function unsignedZero(text) {
  return Number(text) === 0 ? text.replace("-", "") : text;
}

function signed(value) {
  if (value === null || value === undefined) return null;
  const text = reward(value);
  return /^[0.]*$/.test(text) || value < 0 ? text : `+${text}`;
}

function interval(low, high, format = reward) {
  return low === null || low === undefined ? "" : `[${format(low)}, ${format(high)}]`;
}

function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return null;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function moment(seconds) {
  if (seconds === null || seconds === undefined) return null;
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function money(value) {
  if (value === null || value === undefined) return null;
  return value.toFixed(value >= 100 ? 0 : value >= 1 ? 2 : 4);
}

function plural(count, one, many = `${one}s`) {
  return `${whole(count)} ${count === 1 ? one : many}`;
}
