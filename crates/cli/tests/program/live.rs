//! What is live on the bundled site, in a real browser with two pages: the chat, the dashboard, uploads
//! and the echo.

use crate::Site;
use crate::chromium::{Browser, Page};
use crate::process::Program;

/// Who is in the room, as a page shows it.
fn wait_for_present(page: &Page<'_>, words: &str) {
    let present = format!("document.querySelector('[data-present]')?.textContent === {words:?}");
    page.wait_for(&present);
}

/// Waits for a line in a page's room; who said it.
fn wait_for_line(page: &Page<'_>, text: &str) -> String {
    let lines = "[...document.querySelectorAll('[data-lines] li')]";
    let said = format!("{lines}.find(line => line.querySelector('p').textContent === {text:?})");
    let who = page.wait_for(&format!("{said}?.querySelector('.who').textContent"));
    who.as_str().unwrap().to_owned()
}

fn chat(engine: &str) {
    let program = Program::serve(&["--engine", engine, "--workers", "2"]);
    let browser = Browser::start(&format!("chat-{engine}"));
    let url = format!("{}/chat.html", program.url);
    let (one, other) = (browser.open(&url), browser.open(&url));
    wait_for_present(&one, "2 here");
    wait_for_present(&other, "2 here");
    // What looks like markup stays text, and names are their owners' choice.
    let text = "<img src=x onerror=alert(1)> high water at six";
    one.evaluate("document.querySelector('[data-say]').elements.name.value = ''");
    one.type_line("[data-say] [name=name]", "Ada <b>");
    one.wait_for("localStorage.getItem('chat.name') === 'Ada <b>'");
    one.type_line("[data-say] [name=text]", text);
    assert_eq!(wait_for_line(&other, text), "Ada <b>");
    assert_eq!(
        other.evaluate("document.querySelector('[data-lines] img, [data-lines] .who b')"),
        serde_json::Value::Null
    );
    // Another room has its own guests and lines; who comes later is told what was said.
    one.click("[data-rooms] a[href='#room=lighthouse']");
    wait_for_present(&one, "only you");
    wait_for_present(&other, "only you");
    assert_eq!(one.evaluate("document.querySelectorAll('[data-lines] li').length"), 0);
    let late = browser.open(&url);
    wait_for_line(&late, text);
    wait_for_present(&other, "2 here");
    one.type_line("[data-new-room] input", "Not A Room!");
    let refused = one.wait_for("document.querySelector('[data-refused]').textContent");
    assert!(refused.as_str().unwrap().starts_with("A room's name has"), "{refused}");
    assert_eq!(one.evaluate("location.hash"), "#room=lighthouse");
    let lost = browser.open(&format!("{url}#room=../x"));
    wait_for_present(&lost, "3 here");
    lost.wait_for("!document.querySelector('[data-refused]').hidden");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn browser_chats_over_uring() {
    chat("uring");
}

#[test]
fn browser_chats_over_epoll() {
    chat("epoll");
}

/// A page whose server is gone says so, and goes on with the next one by itself.
#[test]
fn browser_finds_a_server_again() {
    let program = Program::serve(&["--drain-timeout", "0s"]);
    let address = program.url.strip_prefix("http://").unwrap().to_owned();
    let browser = Browser::start("again");
    let page = browser.open(&format!("{}/chat.html", program.url));
    wait_for_present(&page, "only you");
    program.signal("TERM");
    page.wait_for("document.querySelector('[data-link]').dataset.link === 'lost'");
    assert_eq!(program.end().0, Some(0));
    page.type_line("[data-say] [name=text]", "is anybody there?");
    page.wait_for("document.querySelector('[data-refused]').textContent.startsWith('There is no')");
    let _next = Program::start(&mut crate::process::command(&["serve", "--listen", &address]));
    page.wait_for("document.querySelector('[data-link]').dataset.link === 'open'");
    wait_for_present(&page, "only you");
    page.evaluate("document.querySelector('[data-say]').requestSubmit()");
    wait_for_line(&page, "is anybody there?");
}

/// Sockets that open and are closed at once, or after `ms`, of a page without one; how long each is waited
/// for, without chance.
const PAUSES: &str = "(async () => {
  const { Link } = await import('/common.js');
  let now = 0;
  const lasts = [0, 0, 0, 0, 9999, 10000, 0, null, 0], waits = [];
  Math.random = () => 0.5;
  performance.now = () => now;
  window.setTimeout = (then, ms) => { waits.push(ms); if (lasts.length) queueMicrotask(then); };
  window.WebSocket = class extends EventTarget {
    constructor() {
      super();
      queueMicrotask(() => {
        const ms = lasts.shift();
        if (ms !== null) this.dispatchEvent(new Event('open'));
        now += ms ?? 20000;
        this.dispatchEvent(new Event('close'));
      });
    }
  };
  new Link('/', () => {});
  while (lasts.length) await null;
  await null;
  return waits.join(' ');
})()";

/// A server that takes a socket and closes it at once is not asked without end.
#[test]
fn browser_waits_longer_until_a_connection_lasts() {
    let program = Program::serve(&[]);
    let browser = Browser::start("pauses");
    let page = browser.open(&format!("{}/examples.html", program.url));
    let waits = page.evaluate(PAUSES);
    assert_eq!(waits, "500 1000 2000 4000 8000 500 1000 2000 4000");
}

/// The number of an element that shows one.
fn number(selector: &str) -> String {
    format!("Number(document.querySelector({selector:?}).textContent.replace(/[^0-9.]/g, ''))")
}

#[test]
fn browser_sees_the_dashboard_move() {
    let program = Program::serve(&["--workers", "2"]);
    let browser = Browser::start("dashboard");
    let url = format!("{}/dashboard.html", program.url);
    let (page, other) = (browser.open(&url), browser.open(&url));
    for name in ["requests_total", "submissions_total", "completions_total", "enters_total"] {
        page.wait_for(&format!("{} > 0", number(&format!("[data-count={name}]"))));
    }
    let count = number("[data-count=requests_total]");
    let before = page.evaluate(&count).as_f64().unwrap();
    page.click("[data-burst='200']");
    // Both pages are told of what one of them did.
    for page in [&page, &other] {
        page.wait_for(&format!("{count} >= {}", before + 200.0));
        page.wait_for(
            "document.querySelector('[data-line=requests] path[data-spark-line]')\
             .getAttribute('d').split('S').length > 3",
        );
    }
    let protocols = "document.querySelector('[data-protocols]').textContent";
    page.wait_for(&format!("/websocket2 open/.test({protocols})"));
    assert_eq!(browser.complaints(), [""; 0]);
}

/// CRC-32, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |rest: u32| if rest & 1 == 1 { rest >> 1 ^ 0xEDB8_8320 } else { rest >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |rest, _| step(rest)))
}

#[test]
fn browser_uploads_byte_for_byte() {
    let text: String =
        (0..400_000_u32).map(|at| char::from(b' ' + (at.wrapping_mul(at) % 89) as u8)).collect();
    let site = Site::new("uploads", &[("a <b>.txt", &text), ("empty", "")]);
    let program = Program::serve(&[]);
    let browser = Browser::start("upload");
    let page = browser.open(&format!("{}/upload.html", program.url));
    page.drop_file("[data-drop]", &format!("{}/a <b>.txt", site.path()));
    let state = |name: &str| {
        let items = "[...document.querySelectorAll('[data-uploads] li')]";
        let item = format!("{items}.find(item => item.firstChild.textContent === {name:?})");
        let state = page.wait_for(&format!("{item}?.dataset.state && {item}.textContent"));
        state.as_str().unwrap().to_owned()
    };
    let said = state("a <b>.txt");
    let arrived = format!(
        "Arrived byte for byte: 400,000 bytes, CRC-32 {:08x} on both",
        crc32(text.as_bytes())
    );
    assert!(said.contains(&arrived), "{said} is not {arrived}");
    page.choose_files("[data-files]", &[&format!("{}/empty", site.path())]);
    let said = state("empty");
    assert!(said.contains("Arrived byte for byte: 0 bytes, CRC-32 00000000"), "{said}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn browser_plays_with_the_echo() {
    let program = Program::serve(&[]);
    let browser = Browser::start("echo");
    let page = browser.open(&format!("{}/echo.html", program.url));
    page.wait_for("document.querySelector('[data-link]').dataset.link === 'open'");
    let wait_for = |kind: &str, start: &str| {
        let what = format!("[...document.querySelectorAll('[data-events] .{kind} .what')]");
        page.wait_for(&format!("{what}.some(own => own.textContent.startsWith({start:?}))"));
    };
    page.click("[data-send-text] button");
    wait_for("text", "high tide at noon");
    page.click("[data-send-ping]");
    wait_for("text", "pong after ");
    page.click("[data-send-binary] button");
    page.wait_for(
        "document.querySelector('[data-events] .binary .what')?.textContent === \
         document.querySelector('[data-events] .sent .what').textContent",
    );
    page.evaluate("document.querySelector('[data-code]').value = '4321'");
    page.click("[data-close]");
    wait_for("closed", "4321");
    page.click("[data-open]");
    page.wait_for("document.querySelector('[data-link]').dataset.link === 'open'");
    assert_eq!(browser.complaints(), [""; 0]);
}
