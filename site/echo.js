// The echo playground: what is sent, what comes back, and how long it took.
// The socket is opened and closed by hand here: to see how is what the page is for.

import { make, number, one, say } from "./common.js";

const EVENTS_MAX = 200;
const BYTES_MAX = 256 * 1024;

const log = one("[data-events]");
const controls = one("[data-echo]");
const asked = []; // when each message that has not come back yet was sent
let socket = null;

function show(kind, what, note = "") {
  const at = new Date().toISOString().slice(11, 23);
  log.prepend(make("li", kind, make("time", "", at), make("b", "", kind), make("span", "what", what), make("span", "note", note)));
  while (log.children.length > EVENTS_MAX) log.lastElementChild.remove();
}

const ms = since => `${(performance.now() - since).toFixed(2)} ms`;
const hex = buffer => [...new Uint8Array(buffer.slice(0, 24))].map(byte => byte.toString(16).padStart(2, "0")).join(" ") + (buffer.byteLength > 24 ? " …" : "");
const short = text => text.length > 400 ? `${text.slice(0, 400)} …` : text;

function reflect() {
  const isOpen = socket?.readyState === WebSocket.OPEN;
  controls.disabled = !isOpen;
  one("[data-open]").disabled = socket !== null;
  one("[data-close]").disabled = !isOpen;
  const place = one("[data-link]");
  place.dataset.link = isOpen ? "open" : socket ? "connecting" : "lost";
  say(one("[data-link-text]"), isOpen ? "Open" : socket ? "Opening …" : "Closed");
}

function open() {
  const address = new URL("/live/echo", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const begin = performance.now();
  asked.length = 0;
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => { show("opened", address.pathname, ms(begin)); reflect(); });
  socket.addEventListener("message", ({ data }) => {
    const took = asked.length ? `after ${ms(asked.shift())}` : "";
    if (typeof data === "string") show("text", short(data), took);
    else show("binary", hex(data), `${number.format(data.byteLength)} bytes ${took}`);
  });
  socket.addEventListener("close", ({ code, reason, wasClean }) => {
    show("closed", `${code} ${reason}`.trim(), wasClean ? "cleanly: both sides said so" : "without a close from the server");
    socket = null;
    reflect();
  });
  reflect();
}

function send(message, what, length) {
  if (length > BYTES_MAX) return show("refused", what, `more than ${number.format(BYTES_MAX)} bytes: not sent`);
  show("sent", what, `${number.format(length)} bytes`);
  asked.push(performance.now());
  socket.send(message);
}

one("[data-open]").addEventListener("click", open);
one("[data-close]").addEventListener("click", () => {
  const code = Number(one("[data-code]").value);
  show("closing", String(code), "asked for by this page");
  socket.close(code, "by hand");
  reflect();
});
one("[data-send-text]").addEventListener("submit", event => {
  event.preventDefault();
  const { value } = event.currentTarget.elements.text;
  send(value, short(value), new TextEncoder().encode(value).length);
});
one("[data-send-binary]").addEventListener("submit", event => {
  event.preventDefault();
  const length = Math.min(Math.max(Number(event.currentTarget.elements.count.value) || 0, 0), BYTES_MAX);
  const data = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(data.subarray(at, at + 65536));
  send(data, hex(data.buffer), length);
});
one("[data-send-ping]").addEventListener("click", () => send("ping", "ping", 4));
one("[data-clear]").addEventListener("click", () => log.replaceChildren());
open();
