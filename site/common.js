// What several pages need: elements, numbers, a line drawn of samples, a socket that connects again.
// It must never speak to any host but the one that served the page.

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const say = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };
export const number = new Intl.NumberFormat("en");

/** An element with a class and what stands in it: elements, or text that can never become markup. */
export function make(name, kind, ...inside) {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  element.append(...inside);
  return element;
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${unit ? count.toFixed(count < 100 ? 1 : 0) : Math.round(count)} ${units[unit]}`;
}

export function duration(ms) {
  const seconds = Math.floor(ms / 1000), minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (seconds < 60) return `${seconds} s`;
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

export function rounded(rate) {
  return number.format(rate >= 10 ? Math.round(rate) : Math.round(rate * 10) / 10);
}

/** The next of 1, 2, 5, 10, 20 … that holds the value. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map(step => step * power).find(top => top >= value);
}

/** Draws the latest samples, at most so many, into a figure; gives the value of its top line. */
export function drawSpark(figure, samples, samplesMax, least = 10) {
  const top = Math.max(ceiling(Math.max(...samples, 0)), least);
  const step = 600 / (samplesMax - 1);
  const point = (sample, index) => [600 - (samples.length - 1 - index) * step, 119 - sample / top * 117];
  // Level at every sample, like the tide: the line never swings past what was measured.
  let line = "";
  let x = 0;
  samples.map(point).forEach(([nextX, nextY], index) => {
    const bend = (nextX - x) * 0.42;
    line += index ? `S${(nextX - bend).toFixed(1)} ${nextY.toFixed(1)} ${nextX.toFixed(1)} ${nextY.toFixed(1)}` : `M${nextX.toFixed(1)} ${nextY.toFixed(1)}`;
    x = nextX;
  });
  const start = point(samples[0], 0)[0].toFixed(1);
  one("[data-spark-line]", figure).setAttribute("d", samples.length > 1 ? line : `${line}h0`);
  one("[data-spark-area]", figure).setAttribute("d", samples.length > 1 ? `${line}V120H${start}z` : "");
  return top;
}

const BURST_CONNECTIONS = 5; // browsers open six to one host: the sixth is left for the poll

/** Sends as many requests as the button says, and tells how long they took. */
export async function burst(button) {
  const count = Number(button.dataset.burst);
  const result = one("[data-burst-result]");
  const buttons = all("[data-burst]");
  buttons.forEach(each => { each.disabled = true; });
  say(result, `Sending ${number.format(count)} …`);
  let sent = 0, answered = 0, failed = 0;
  const begin = performance.now();
  const lane = async () => {
    while (sent < count && failed < BURST_CONNECTIONS) {
      sent += 1;
      try {
        const answer = await fetch("/plaintext", { cache: "no-store" });
        await answer.arrayBuffer();
        if (answer.ok) answered += 1; else failed += 1;
      } catch { failed += 1; }
    }
  };
  await Promise.all(Array.from({ length: BURST_CONNECTIONS }, lane));
  const took = Math.round(performance.now() - begin);
  say(result, failed
    ? `${number.format(answered)} answered, ${failed} failed. Is the server still running?`
    : `${number.format(answered)} answered in ${number.format(took)} ms. Most of that time is your browser’s.`);
  buttons.forEach(each => { each.disabled = false; });
  button.focus({ preventScroll: true });
}

const RETRY_MS = 500;
const RETRY_MS_MAX = 15000;
const LASTING_MS = 10000; // a connection that was open for so long was one

/**
 * A socket of this server that connects again when it is lost: after half a second, then twice as long
 * each time until one lasts, a quarter more or less so that not all pages come at once. `hear` gets each
 * message; `opened` is called at each connection. Elements with `data-link` say how it stands.
 */
export class Link {
  #path; #hear; #opened; #socket; #pause = RETRY_MS; #openedAt = Infinity; #timer = 0;

  constructor(path, hear, opened = () => {}) {
    this.#path = path;
    this.#hear = hear;
    this.#opened = opened;
    addEventListener("online", () => this.#again());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#again(); });
    all("[data-link-now]").forEach(button => button.addEventListener("click", () => this.#again()));
    this.#connect();
  }

  get isOpen() { return this.#socket.readyState === WebSocket.OPEN; }

  send(message) { if (this.isOpen) this.#socket.send(message); }

  #connect() {
    clearTimeout(this.#timer);
    this.#tell("connecting", "Connecting …");
    const address = new URL(this.#path, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = this.#socket = new WebSocket(address);
    socket.addEventListener("open", () => {
      this.#openedAt = performance.now();
      this.#tell("open", "Connected");
      this.#opened();
    });
    socket.addEventListener("message", event => this.#hear(event.data));
    socket.addEventListener("close", () => this.#lost());
  }

  #lost() {
    if (performance.now() - this.#openedAt >= LASTING_MS) this.#pause = RETRY_MS;
    this.#openedAt = Infinity;
    const ms = this.#pause * (0.75 + Math.random() / 2);
    this.#pause = Math.min(this.#pause * 2, RETRY_MS_MAX);
    this.#tell("lost", ms < 1500 ? "Connection lost. Trying again …" : `Connection lost. Trying again in ${Math.round(ms / 1000)} s`);
    this.#timer = setTimeout(() => this.#connect(), ms);
  }

  #again() { if (this.#socket.readyState === WebSocket.CLOSED) this.#connect(); }

  #tell(state, text) {
    for (const place of all("[data-link]")) {
      place.dataset.link = state;
      say(one("[data-link-text]", place), text);
    }
  }
}
