// The chat: rooms, who is there, what is said. Whatever others write becomes text, never markup.

import { Link, make, number, one, say } from "./common.js";

const LINES_MAX = 200; // more than the server remembers; what is older goes
const BIRDS = ["Avocet", "Curlew", "Dunlin", "Eider", "Fulmar", "Gannet", "Heron", "Kittiwake", "Plover", "Puffin", "Sandpiper", "Tern", "Turnstone", "Whimbrel"];

const lines = one("[data-lines]");
const form = one("[data-say]");
const notice = one("[data-refused]");
const own = { name: stored("name") ?? BIRDS[Math.floor(Math.random() * BIRDS.length)], room: "", entering: "", isSeated: false, isSentBack: false, began: 0, listed: 0, present: Object.create(null) };

/** Where storage is refused, a name lasts as long as the page. */
function stored(key) {
  try { return localStorage.getItem(`chat.${key}`); } catch { return null; }
}

function store(key, value) {
  try { localStorage.setItem(`chat.${key}`, value); } catch { /* it lasts as long as the page */ }
}

const ROOM = "#room=";

function wantedRoom() {
  return location.hash.startsWith(ROOM) ? location.hash.slice(ROOM.length) : own.room || "harbour";
}

// ---- what the server tells ------------------------------------------------------------------

const link = new Link("/live/chat", text => {
  const told = JSON.parse(text);
  if (told.kind === "rooms") showRooms(told);
  else if (told.kind === "entered") entered(told);
  else if (told.kind === "said" && told.room === own.room) showLine(told.line, true);
  else if (told.kind === "refused") refused(told.why);
}, begin);

/** Of the lists of one connection only the newest counts. */
function begin() {
  own.listed = 0;
  own.isSeated = false;
  enter();
}

function enter() {
  own.entering = wantedRoom();
  link.send(JSON.stringify({ do: "enter", room: own.entering, name: own.name }));
}

/** Who may not enter a room stays where they were, or goes where everybody may. */
function refused(why) {
  refuse(why);
  const wanted = own.entering;
  own.entering = "";
  if (!wanted) return;
  const back = own.room || "harbour";
  history.replaceState(null, "", ROOM + back);
  own.isSentBack = !own.isSeated && wanted !== back;
  if (own.isSentBack) enter();
}

/** Rooms that stay keep their elements: the list may change under a finger or a focus. */
function showRooms({ number: at, rooms }) {
  if (at < own.listed) return;
  own.listed = at;
  const list = one("[data-rooms]");
  const entries = new Map([...list.children].map(entry => [entry.dataset.name, entry]));
  rooms.forEach((room, place) => {
    const entry = entries.get(room.name) ?? makeRoom(room.name);
    entries.delete(room.name);
    if (list.children[place] !== entry) list.insertBefore(entry, list.children[place] ?? null);
    say(one("span", entry), room.present ? `${number.format(room.present)} here` : "empty");
  });
  entries.forEach(entry => entry.remove());
  own.present = Object.assign(Object.create(null), Object.fromEntries(rooms.map(room => [room.name, room.present])));
  showOwn();
}

function makeRoom(name) {
  const link = make("a", "", make("b", "", name), make("span"));
  link.href = ROOM + name;
  const entry = make("li", "", link);
  entry.dataset.name = name;
  return entry;
}

function showOwn() {
  for (const entry of one("[data-rooms]").children) {
    entry.firstChild.ariaCurrent = entry.dataset.name === own.room ? "true" : null;
  }
  const present = own.present[own.room];
  say(one("[data-present]"), present === undefined ? "" : present === 1 ? "only you" : `${number.format(present)} here`);
}

function entered({ room, name, now_ms, lines: remembered }) {
  if (!own.isSentBack) refuse("");
  // The server counts from its start; another start is another server, which has other lines.
  const began = Date.now() - now_ms;
  const isSame = Math.abs(began - own.began) < 5000;
  // The same room after a lost connection: only what is new is shown, and read out.
  const isAgain = room === own.room && isSame;
  if (!isAgain) {
    lines.setAttribute("aria-busy", "true");
    lines.replaceChildren();
  }
  Object.assign(own, { room, name, began, entering: "", isSeated: true, isSentBack: false });
  showOwn();
  say(one("[data-room]"), room);
  document.title = `${room} – Chat – Springtide`;
  form.elements.name.value = name;
  remembered.forEach(line => showLine(line, isAgain));
  lines.removeAttribute("aria-busy");
  lines.dataset.empty = lines.children.length ? "" : "Nobody has said anything here yet.";
}

/** Lines may come out of order from several shards, and twice around an entry: numbers tell. */
function showLine(line, mayFollow) {
  const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 60;
  let before = null;
  for (let last = lines.lastElementChild; last; last = last.previousElementSibling) {
    const at = Number(last.dataset.number);
    if (at === line.number) return;
    if (at < line.number) break;
    before = last;
  }
  const at = new Date(own.began + line.at_ms);
  const time = make("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at.toISOString();
  time.title = at.toLocaleString();
  const item = make("li", line.name === own.name ? "own" : "", make("bdi", "who", line.name), time, make("p", "", line.text));
  item.dataset.number = line.number;
  lines.dataset.empty = "";
  lines.insertBefore(item, before);
  while (lines.children.length > LINES_MAX) lines.firstElementChild.remove();
  if (isAtEnd || !mayFollow) lines.scrollTop = lines.scrollHeight;
}

function refuse(why) {
  say(notice, why);
  notice.hidden = !why;
}

// ---- what the guest does --------------------------------------------------------------------

form.elements.name.value = own.name;

form.elements.name.addEventListener("change", () => {
  own.name = form.elements.name.value.trim() || own.name;
  form.elements.name.value = own.name;
  store("name", own.name);
  enter();
});

form.addEventListener("submit", event => {
  event.preventDefault();
  const text = form.elements.text.value.trim();
  if (!text) return;
  if (!link.isOpen) return refuse("There is no connection right now. Your line stays here until there is one.");
  refuse("");
  link.send(JSON.stringify({ do: "say", text }));
  form.elements.text.value = "";
  form.elements.text.focus();
});

one("[data-new-room]").addEventListener("submit", event => {
  event.preventDefault();
  const field = event.currentTarget.elements.room;
  const name = field.value.trim().toLowerCase().replaceAll(/\s+/g, "-");
  if (!name) return;
  field.value = "";
  location.hash = ROOM + encodeURIComponent(name);
});

addEventListener("hashchange", () => { if (wantedRoom() !== own.room) enter(); });
