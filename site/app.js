// The site's own script: counters, example sources, copy buttons. It must never speak to any host
// but the one that served the page, and the pages must stay readable without it.
import { all, burst, bytes, drawSpark, duration, number, one, rounded, say } from "./common.js";

// ---- counters -------------------------------------------------------------------------------

const POLL_MS = 1000;
const RETRY_MS = 5000;
const ANSWER_MS_MAX = 4000;
const SAMPLES_MAX = 60;

function startGauge(gauge) {
  const served = one("[data-served]");
  const rates = [];
  let last = null;
  let timer = 0;
  let asking = false;

  function show(counters) {
    for (const field of all("[data-count]", gauge)) {
      const value = counters[field.dataset.count];
      const format = { bytes_received: bytes, bytes_sent: bytes, uptime_ms: duration }[field.dataset.count] ?? number.format;
      say(field, Number.isFinite(value) ? format(value) : "–");
    }
    const workers = counters.workers === 1 ? "1 worker" : `${counters.workers} workers`;
    say(served, `Springtide ${counters.version} on ${counters.engine}, ${workers}`);
    all("[data-version]").forEach(place => say(place, counters.version));

    // A smaller total or uptime is another server: begin anew instead of showing a negative rate.
    const elapsed = last ? counters.uptime_ms - last.uptime_ms : 0;
    const answered = last ? counters.requests_total - last.requests_total : 0;
    if (elapsed > 0 && answered >= 0) {
      rates.push(answered * 1000 / elapsed);
      if (rates.length > SAMPLES_MAX) rates.shift();
      say(one("[data-rate]"), rounded(rates.at(-1)));
      const top = drawSpark(gauge, rates, SAMPLES_MAX);
      say(one("[data-spark-top]"), `top line: ${number.format(top)} a second`);
    }
    last = counters;
  }

  function missing() {
    last = null;
    say(one("[data-rate]"), "–");
    say(served, `No counters at this address: Springtide is not the server here, or it has stopped. Asking again every ${RETRY_MS / 1000} seconds.`);
  }

  async function ask() {
    if (asking || document.hidden) return;
    clearTimeout(timer);
    asking = true;
    let pause = POLL_MS;
    try {
      const answer = await fetch("/api/counters", { cache: "no-store", signal: AbortSignal.timeout?.(ANSWER_MS_MAX) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show(await answer.json());
    } catch {
      missing();
      pause = RETRY_MS;
    }
    asking = false;
    if (!document.hidden) timer = setTimeout(ask, pause);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    last = null; // a rate over the time nobody looked would say little
    ask();
  });
  ask();
}

// ---- the moon -------------------------------------------------------------------------------

/** Marks today on the chart of the lunar month, by the mean moon: right to within a day. */
function markToday(mark) {
  const monthMs = 29.530588 * 86400000;
  const newMoon = Date.UTC(2000, 0, 6, 18, 14);
  const place = ((Date.now() - newMoon) / monthMs + 1 / 8) % 1; // the chart begins an eighth before new moon
  mark.style.left = `${(place * 100).toFixed(2)}%`;
  mark.classList.toggle("flip", place > 0.85);
  mark.hidden = false;
}

// ---- examples -------------------------------------------------------------------------------

const RUST = new RegExp([
  /(?<c>\/\/[^\n]*|\/\*[\s\S]*?\*\/)/,
  /(?<s>\b[bc]?r(?<hashes>#*)"[\s\S]*?"\k<hashes>|\b[bc]?"(?:\\[\s\S]|[^"\\])*"|"(?:\\[\s\S]|[^"\\])*"|b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'\n])')/,
  /(?<a>#!?\[[^\]\n]*\]|'[a-z_]\w*)/,
  /(?<n>\b\d[\d_]*(?:\.\d[\d_]*)?(?:[a-z]\w*)?\b)/,
  /(?<k>\b(?:as|async|await|break|const|continue|crate|dyn|else|enum|extern|false|fn|for|if|impl|in|let|loop|match|mod|move|mut|pub|ref|return|self|Self|static|struct|super|trait|true|type|unsafe|use|where|while)\b)/,
  /(?<t>\b(?:[A-Z]\w*|bool|char|str|[iu](?:8|16|32|64|128|size)|f32|f64)\b)/,
  /(?<f>\b[a-z_]\w*!?(?=\(|!\())/,
].map(part => part.source).join("|"), "g");

/** Rust source as text and coloured spans; text only, so a source can never become markup. */
function coloured(source) {
  const out = document.createDocumentFragment();
  let end = 0;
  for (const match of source.matchAll(RUST)) {
    const kind = ["c", "s", "a", "n", "k", "t", "f"].find(name => match.groups[name] !== undefined);
    out.append(source.slice(end, match.index));
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = match[0];
    out.append(span);
    end = match.index + match[0].length;
  }
  out.append(source.slice(end));
  return out;
}

async function textOf(address) {
  const answer = await fetch(address, { signal: AbortSignal.timeout?.(ANSWER_MS_MAX) });
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return answer.text();
}

function startExamples(shelf) {
  const message = one("[data-examples-message]");
  const code = one("[data-example-source]");
  const list = one("[data-example-list]");
  let examples = [];
  let shown = "";

  function tell(...lines) {
    message.replaceChildren(...lines.map(line => {
      const paragraph = document.createElement("p");
      paragraph.textContent = line;
      return paragraph;
    }));
    message.hidden = lines.length === 0;
  }

  async function show() {
    const example = examples.find(each => `#${encodeURIComponent(each.name)}` === location.hash) ?? examples[0];
    const address = `/examples/${encodeURIComponent(example.name)}.rs`;
    const byHand = shown !== "";
    shown = example.name;
    for (const link of all("a", list)) {
      if (link.hash === `#${encodeURIComponent(example.name)}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    say(one("[data-example-title]"), example.title || example.name);
    say(one("[data-example-run]"), `cargo run --release --example ${example.name}`);
    say(one("[data-example-file]"), `${example.name}.rs`);
    one("[data-example-raw]").href = address;
    tell();
    try {
      // A list that carries the text itself saves the second request.
      const source = example.source?.includes("\n") ? example.source : await textOf(address);
      if (shown !== example.name) return; // another one was chosen meanwhile
      code.replaceChildren(coloured(source));
      code.closest("pre").scrollTo(0, 0);
      if (byHand) one("[data-example-title]").focus({ preventScroll: true });
    } catch {
      if (shown !== example.name) return;
      code.textContent = "";
      tell(`The server lists ${example.name} but did not hand out its source.`, `It lies in the repository as examples/${example.name}.rs.`);
    }
  }

  async function begin() {
    try {
      examples = JSON.parse(await textOf("/api/examples")).filter(each => typeof each?.name === "string");
    } catch { examples = []; }
    if (examples.length === 0) {
      tell("This server has no examples to show: it is not Springtide, or it was started away from its repository.", "They lie in the folder examples of the repository; cargo run --release from there brings them here.");
      return;
    }
    list.replaceChildren(...examples.map(example => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      const file = document.createElement("span");
      link.href = `#${encodeURIComponent(example.name)}`;
      file.textContent = `${example.name}.rs`;
      link.append(example.title || example.name, file);
      item.append(link);
      return item;
    }));
    shelf.hidden = false;
    addEventListener("hashchange", show);
    show();
  }

  one("[data-copy-source]").addEventListener("click", event => copy(event.currentTarget, code));
  begin();
}

// ---- copy -----------------------------------------------------------------------------------

/** The clipboard API wants HTTPS or localhost; elsewhere the text is selected and copied the old way. */
async function copy(button, element) {
  const label = button.dataset.label ??= button.textContent;
  let done = false;
  try {
    await navigator.clipboard.writeText(element.textContent);
    done = true;
  } catch {
    getSelection().selectAllChildren(element);
    done = document.execCommand("copy");
  }
  say(button, done ? "Copied" : "Selected");
  setTimeout(() => say(button, label), 1600);
}

// ---- begin ----------------------------------------------------------------------------------

if (location.protocol.startsWith("http")) {
  all("[data-origin]").forEach(code => say(code, `curl -i ${location.origin}/plaintext`));
}
all("[data-copy]").forEach(button => button.addEventListener("click", () => copy(button, button.previousElementSibling)));
all("[data-burst]").forEach(button => button.addEventListener("click", () => burst(button)));
all(".today").forEach(markToday);
all("[data-gauge]").forEach(startGauge);
all("[data-examples]").forEach(startExamples);
