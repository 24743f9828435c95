// Uploads: files dropped or chosen, sent one after another, each summed here and by the server.
// Only when length and sum agree is it said that a file has arrived.

import { bytes, make, number, one, say } from "./common.js";

const BYTES_MAX = 2 ** 30;
const FILES_MAX = 20;

const list = one("[data-uploads]");
const drop = one("[data-drop]");
const picker = one("[data-files]");
const waiting = [];
let isSending = false;

// ---- CRC-32, as the server makes it ---------------------------------------------------------

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit += 1) byte = byte & 1 ? 0xEDB88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

/** The sum of a file, piece by piece: it may be longer than memory. */
async function crc32(file) {
  let sum = -1;
  for (const reader = file.stream().getReader();;) {
    const { done, value } = await reader.read();
    if (done) return ((sum ^ -1) >>> 0).toString(16).padStart(8, "0");
    for (let at = 0; at < value.length; at += 1) sum = TABLE[(sum ^ value[at]) & 255] ^ (sum >>> 8);
  }
}

// ---- sending --------------------------------------------------------------------------------

/** Sends a file; `told` hears of the bytes that have left. Only XMLHttpRequest tells of them. */
function send(file, told, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", "/live/upload");
    request.responseType = "json";
    request.upload.addEventListener("progress", event => told(event.loaded));
    request.addEventListener("load", () => request.status === 200 ? resolve(request.response) : reject(new Error(`The server answered ${request.status} ${request.statusText}.`)));
    request.addEventListener("error", () => reject(new Error("The connection broke.")));
    request.addEventListener("abort", () => reject(new Error("Cancelled.")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function add(file) {
  const bar = make("progress");
  const state = make("span", "state", "waiting");
  const cancel = make("button", "", "Cancel");
  const item = make("li", "", make("bdi", "", file.name), make("span", "size", bytes(file.size)), bar, state, cancel);
  const stop = new AbortController();
  bar.max = Math.max(file.size, 1);
  bar.value = 0;
  bar.setAttribute("aria-label", `${file.name}: sent`);
  cancel.type = "button";
  cancel.setAttribute("aria-label", `Cancel ${file.name}`);
  cancel.addEventListener("click", () => stop.abort());
  list.prepend(item);
  const end = (kind, text) => {
    item.dataset.state = kind;
    say(state, text);
    cancel.remove();
  };
  if (file.size > BYTES_MAX) return end("failed", `Longer than ${bytes(BYTES_MAX)}: not sent.`);
  waiting.push({ file, bar, state, end, stop });
  work();
}

async function work() {
  if (isSending) return;
  isSending = true;
  for (let next; (next = waiting.shift());) await upload(next);
  isSending = false;
}

async function upload({ file, bar, state, end, stop }) {
  if (stop.signal.aborted) return end("failed", "Cancelled.");
  const begin = performance.now();
  try {
    const told = loaded => {
      bar.value = loaded;
      say(state, `${Math.floor(loaded / Math.max(file.size, 1) * 100)} %`);
    };
    const [receipt, own] = await Promise.all([send(file, told, stop.signal), crc32(file)]);
    const seconds = (performance.now() - begin) / 1000;
    bar.value = bar.max;
    if (receipt?.bytes !== file.size || receipt.crc32 !== own) {
      return end("failed", `What arrived differs: ${number.format(receipt?.bytes ?? 0)} bytes, ${receipt?.crc32}; here ${number.format(file.size)}, ${own}.`);
    }
    end("arrived", `Arrived byte for byte: ${number.format(receipt.bytes)} bytes, CRC-32 ${receipt.crc32} on both sides, ${bytes(file.size / seconds)} a second.`);
  } catch (error) {
    end("failed", error.message);
  }
}

function take(files) {
  const taken = [...files].slice(0, FILES_MAX);
  taken.forEach(add);
  say(one("[data-upload-note]"), files.length > FILES_MAX ? `The first ${FILES_MAX} of ${files.length} files are sent.` : "");
}

// ---- dropping and choosing ------------------------------------------------------------------

picker.addEventListener("change", () => {
  take(picker.files);
  picker.value = "";
});
let depth = 0; // elements inside tell of entering and leaving, too
drop.addEventListener("dragenter", () => { depth += 1; drop.classList.add("over"); });
drop.addEventListener("dragleave", () => { depth -= 1; if (depth === 0) drop.classList.remove("over"); });
// Also beside the field: a browser would leave the page for the file otherwise.
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => {
  event.preventDefault();
  depth = 0;
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
