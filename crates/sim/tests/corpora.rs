//! The corpora of the fuzz targets, given to the same functions without a fuzzer.
//! It must never write: the fuzzer adds files, this reads them.

use std::path::Path;

#[allow(unreachable_pub, clippy::expect_used, reason = "it is a library of another workspace")]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

/// Gives each file of a corpus to its target.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if let Err(panic) = std::panic::catch_unwind(|| target(&bytes)) {
            println!("{} fails", path.display());
            std::panic::resume_unwind(panic);
        }
        files += 1;
    }
    assert!(files >= 10, "{name} has {files} files");
}

#[test]
fn head() {
    replay("head", targets::head);
}

#[test]
fn answers() {
    replay("answers", targets::answers);
}

#[test]
fn chunked() {
    replay("chunked", targets::chunked);
}

#[test]
fn connection() {
    replay("connection", targets::connection);
}

#[test]
fn ranges() {
    replay("ranges", targets::ranges);
}

#[test]
fn paths() {
    replay("paths", targets::paths);
}

#[test]
fn multipart() {
    replay("multipart", targets::multipart);
}

#[test]
fn framed() {
    replay("framed", targets::framed);
}

#[test]
fn handshake() {
    replay("handshake", targets::handshake);
}

#[test]
fn frames() {
    replay("frames", targets::frames);
}

#[test]
fn deflate() {
    replay("deflate", targets::deflate);
}

#[test]
fn utf8() {
    replay("utf8", targets::utf8);
}

#[test]
fn detect() {
    replay("detect", targets::detect);
}
