//! A headless Chromium with as many pages as a test opens, driven by the DevTools protocol over a pipe.
//! Nothing here waits for time to pass: pages tell when what they show has become so.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process;

/// A browser that says nothing for as long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(90);
/// A page that moves an element away this often is not laid out any more, it plays.
const CLICKS_MAX: usize = 10;

/// The browser's descriptors 3 and 4 are the two ends of the protocol.
const START: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

/// A browser of the test's own.
pub(crate) struct Browser {
    child: Child,
    wire: RefCell<Wire>,
    profile: PathBuf,
}

struct Wire {
    requests: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    /// What pages complained of: exceptions that nobody caught, resources that were refused.
    complaints: Vec<String>,
}

impl Browser {
    pub(crate) fn start(name: &str) -> Self {
        let unique = format!("springtide-live-{}-{name}", std::process::id());
        let profile = std::env::temp_dir().join(unique);
        let mut child = Command::new("sh")
            .args(["-c", START])
            .arg(process::tool("SPRINGTIDE_CHROMIUM", "chromium"))
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--remote-debugging-pipe"])
            .arg("--disable-features=LocalNetworkAccessChecks")
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = child.stdin.take().unwrap();
        let messages = read(child.stdout.take().unwrap());
        let wire = Wire { requests, messages, last_id: 0, complaints: Vec::new() };
        Self { child, wire: RefCell::new(wire), profile }
    }

    /// Opens a page in a window of its own.
    pub(crate) fn open(&self, url: &str) -> Page<'_> {
        let blank = json!({ "url": "about:blank", "newWindow": true });
        let target = self.ask(None, "Target.createTarget", &blank);
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.ask(None, "Target.attachToTarget", &attach);
        let page = Page { browser: self, session: attached["sessionId"].as_str().unwrap().into() };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "DOM.enable"] {
            page.ask(domain, &json!({}));
        }
        page.ask("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        page.ask("Page.navigate", &json!({ "url": url }));
        // Its scripts have run by then.
        page.evaluate(
            "new Promise(done => {
               if (document.readyState === 'complete') done();
               addEventListener('load', () => done());
             })",
        );
        page
    }

    /// What all pages complained of so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.wire.borrow().complaints.clone()
    }

    fn ask(&self, session: Option<&str>, method: &str, params: &Value) -> Value {
        let mut wire = self.wire.borrow_mut();
        wire.last_id += 1;
        let id = wire.last_id;
        let mut asked = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            asked["sessionId"] = session.into();
        }
        write!(wire.requests, "{asked}\0").unwrap();
        loop {
            let said = wire.messages.recv_timeout(HANGS_AFTER);
            let mut said = said.unwrap_or_else(|error| panic!("{method} {params}: {error}"));
            if said["id"] == id {
                assert!(said["error"].is_null(), "{method} {params}: {said}");
                return said["result"].take();
            }
            let is_complaint = said["method"] == "Runtime.exceptionThrown"
                || said["method"] == "Log.entryAdded"
                    && said["params"]["entry"]["level"] == "error";
            if is_complaint {
                wire.complaints.push(said["params"].to_string());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already, and what it leaves behind is its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Messages end with a zero byte.
fn read(output: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for message in BufReader::new(output).split(0) {
            let Ok(message) = message else { return };
            if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// One page of a browser.
pub(crate) struct Page<'b> {
    browser: &'b Browser,
    session: String,
}

impl Page<'_> {
    /// The value of an expression, awaited where it is a promise.
    pub(crate) fn evaluate(&self, expression: &str) -> Value {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true
        });
        let mut evaluated = self.ask("Runtime.evaluate", &params);
        assert!(evaluated["exceptionDetails"].is_null(), "{expression}: {evaluated}");
        evaluated["result"]["value"].take()
    }

    /// Waits until an expression over the document is true; its value. It is looked at again whenever
    /// something in the document changes.
    pub(crate) fn wait_for(&self, expression: &str) -> Value {
        self.evaluate(&format!(
            "new Promise(done => {{
               const watch = new MutationObserver(() => look());
               const look = () => {{
                 const value = ({expression});
                 if (value) {{ watch.disconnect(); done(value); }}
                 return value;
               }};
               const all = {{ subtree: true, childList: true, attributes: true, characterData: true }};
               if (!look()) watch.observe(document, all);
             }})"
        ))
    }

    /// Types a line into a field, and the key that ends it.
    pub(crate) fn type_line(&self, field: &str, text: &str) {
        self.evaluate(&format!("document.querySelector({field:?}).focus()"));
        self.ask("Input.insertText", &json!({ "text": text }));
        for kind in ["keyDown", "keyUp"] {
            let key = json!({
                "type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                "windowsVirtualKeyCode": 13
            });
            self.ask("Input.dispatchKeyEvent", &key);
        }
    }

    /// Clicks in the middle of an element. A page that is still being laid out may move it away from
    /// under the pointer: who sees that clicks again.
    pub(crate) fn click(&self, element: &str) {
        let watch = format!(
            "window.hit = null;
             addEventListener('click', event => {{
               const hits = event.composedPath().includes(document.querySelector({element:?}));
               window.hit = hits || event.target.outerHTML;
             }}, {{ capture: true, once: true }})"
        );
        let mut beside = Vec::new();
        while beside.len() < CLICKS_MAX {
            self.evaluate(&watch);
            let (x, y) = self.middle(element);
            for kind in ["mousePressed", "mouseReleased"] {
                let click =
                    json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
                self.ask("Input.dispatchMouseEvent", &click);
            }
            match self.evaluate("window.hit") {
                Value::Bool(true) => return,
                hit => beside.push(hit),
            }
        }
        panic!("{element} was never hit, but {beside:?}");
    }

    /// Drops a file on an element.
    pub(crate) fn drop_file(&self, element: &str, path: &str) {
        let (x, y) = self.middle(element);
        let data = json!({ "items": [], "files": [path], "dragOperationsMask": 1 });
        for kind in ["dragEnter", "dragOver", "drop"] {
            let drag = json!({ "type": kind, "x": x, "y": y, "data": data });
            self.ask("Input.dispatchDragEvent", &drag);
        }
    }

    /// Chooses files in a field for files.
    pub(crate) fn choose_files(&self, field: &str, paths: &[&str]) {
        let document = self.ask("DOM.getDocument", &json!({}));
        let root = &document["root"]["nodeId"];
        let found = self.ask("DOM.querySelector", &json!({ "nodeId": root, "selector": field }));
        let chosen = json!({ "files": paths, "nodeId": found["nodeId"] });
        self.ask("DOM.setFileInputFiles", &chosen);
    }

    /// Where the middle of an element is, of a page that lies in front: only those are clicked on.
    fn middle(&self, element: &str) -> (f64, f64) {
        self.ask("Page.bringToFront", &json!({}));
        let middle = self.evaluate(&format!(
            "(async () => {{
               const element = document.querySelector({element:?});
               element.scrollIntoView({{ block: 'nearest', behavior: 'instant' }});
               // A click goes where the last frame that was shown has the element.
               for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
               const box = element.getBoundingClientRect();
               return [box.x + box.width / 2, box.y + box.height / 2];
             }})()"
        ));
        (middle[0].as_f64().unwrap(), middle[1].as_f64().unwrap())
    }

    fn ask(&self, method: &str, params: &Value) -> Value {
        self.browser.ask(Some(&self.session), method, params)
    }
}
