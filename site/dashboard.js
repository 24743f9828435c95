// The dashboard: what the server counts, as it tells it twice a second.
// Rates are differences of two samples; a server that began anew begins anew here.

import { Link, all, burst, bytes, drawSpark, duration, make, number, one, rounded, say } from "./common.js";

const SAMPLES_MAX = 120; // a minute

const micros = us => us >= 1000 ? `${(us / 1000).toFixed(1)} ms` : `${us >= 100 ? Math.round(us) : us.toFixed(1)} µs`;

/** What each line shows: how it is made of two samples and the seconds between them, and said. */
const LINES = {
  requests: { rate: (now, then, s) => (now.counts.requests_total - then.counts.requests_total) / s, said: rounded, least: 10 },
  traffic: { rate: (now, then, s) => (moved(now) - moved(then)) / s, said: bytes, least: 1000 },
  turns: { rate: (now, then, s) => (now.counts.turns_total - then.counts.turns_total) / s, said: rounded, least: 10 },
  turn: { rate: (now, then) => (now.cpu_us - then.cpu_us) / Math.max(now.counts.turns_total - then.counts.turns_total, 1), said: micros, least: 100 },
};
const moved = sample => sample.counts.bytes_received + sample.counts.bytes_sent;

const FORMATS = { bytes_received: bytes, bytes_sent: bytes, uptime_ms: duration };
const history = Object.fromEntries(Object.keys(LINES).map(name => [name, []]));
let last = null;

all("[data-burst]").forEach(button => button.addEventListener("click", () => burst(button)));
new Link("/live/dashboard", text => show(JSON.parse(text)), () => { last = null; });

function show(sample) {
  const seconds = last ? (sample.uptime_ms - last.uptime_ms) / 1000 : 0;
  if (seconds > 0) Object.keys(LINES).forEach(name => showLine(name, sample, seconds));
  last = sample;
  for (const field of all("[data-count]")) {
    const name = field.dataset.count;
    const value = sample[name] ?? sample.counts[name] ?? sample.engines[name];
    say(field, Number.isFinite(value) ? (FORMATS[name] ?? number.format)(value) : "–");
  }
  const workers = sample.workers === 1 ? "1 worker" : `${sample.workers} workers`;
  say(one("[data-served]"), `On ${sample.engine}, ${workers}`);
  showProtocols(sample.protocols ?? []);
}

function showLine(name, sample, seconds) {
  const { rate, said, least } = LINES[name];
  const samples = history[name];
  samples.push(Math.max(rate(sample, last, seconds), 0));
  if (samples.length > SAMPLES_MAX) samples.shift();
  const card = one(`[data-line="${name}"]`);
  say(one("[data-now]", card), said(samples.at(-1)));
  const top = drawSpark(card, samples, SAMPLES_MAX, least);
  say(one("[data-spark-top]", card), `top ${said(top)}`);
}

/** A bar for each protocol that has connections, the longest for the one that has most. */
function showProtocols(protocols) {
  const most = Math.max(...protocols.map(own => own.open), 1);
  const seen = protocols.filter(own => own.total > 0);
  one("[data-protocols]").replaceChildren(...seen.map(own => {
    const bar = make("meter");
    Object.assign(bar, { min: 0, max: most, value: own.open });
    bar.setAttribute("aria-label", `${own.name}: ${own.open} open`);
    return make("li", "", make("b", "", own.name), bar, make("span", "", `${number.format(own.open)} open, ${number.format(own.total)} in all`));
  }));
}
