//! What the compiler says of programs that are almost right: it names what to change.
//! Programs are compiled against the library that was built for this test, and never run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BEGIN: &str = "#![allow(unused)]\n\
    use springtide::{Failure, Request, Response, Server, offload};\n\
    use std::rc::Rc;\n\
    struct Tide;\n\
    pub fn main() { let _ = ";

/// A program's line, and what the compiler is to say of it; nothing of one that is right.
const PROGRAMS: &[(&str, &[&str])] = &[
    (r#"Server::new().get("/", |_: Request| "tide");"#, &[]),
    (
        r#"Server::new().get("/", async |_: Request| -> Result<(), Failure> { "7".parse::<u8>()?; Ok(()) });"#,
        &[],
    ),
    (
        r#"Server::new().get("/", |_: Request| 7_u32);"#,
        &[
            "is not a handler",
            "this cannot answer a request",
            "it returns what implements `IntoResponse`",
        ],
    ),
    (
        r#"Server::new().get("/", async |_: Request| Tide);"#,
        &["is not a handler", "`Result<_, Failure>`"],
    ),
    (r#"Server::new().get("/", |_: &Request| "tide");"#, &["is not a handler", "taken by value"]),
    (r#"Server::new().get("/", "tide");"#, &["`&str` is not a handler", "`|| …`"]),
    (
        r#"Server::new().get("/", offload(|_: Request| Tide));"#,
        &[
            "`Tide` cannot be sent as a response",
            "this is not a response",
            "implement `IntoResponse`",
        ],
    ),
    (
        r#"Response::new(7_u32);"#,
        &["`u32` cannot be sent as a response", "return a string, bytes, a `StatusCode`"],
    ),
    (
        r#"Response::new("7".parse::<u32>().map(|_| "seven"));"#,
        &["`ParseIntError` cannot be sent as a response", "`Result<_, Failure>` and use `?`"],
    ),
    (
        r#"{ let own = Rc::new(7); Server::new().get("/", move |_: Request| own.to_string()) };"#,
        &["`Rc<i32>` cannot be sent between threads safely"],
    ),
];

/// What the compiler says of a program.
fn compiled(program: &str, library: &Path) -> String {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages");
    std::fs::create_dir_all(&out).unwrap();
    let dependencies = library.parent().unwrap();
    let mut compiler = Command::new("rustc")
        .args(["--edition=2024", "--emit=metadata", "--crate-name=almost", "--color=never", "-"])
        .arg("--out-dir")
        .arg(out)
        .arg("--extern")
        .arg(format!("springtide={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", dependencies.display()))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let source = format!("{BEGIN}{program} }}\n");
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let said = compiler.wait_with_output().unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.success(), !text.contains("error"), "{text}");
    text
}

/// The library, which lies beside this test; the newest where one of before is left.
fn library() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let beside = std::fs::read_dir(own.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
    let libraries = beside.filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with("libspringtide-") && name.ends_with(".rlib")
    });
    let newest = libraries.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    newest.expect("the library was built for this test").path()
}

#[test]
fn messages_name_what_to_change() {
    // A sanitizer is part of how a library is built: a compiler that has none cannot read it.
    if std::env::var("RUSTFLAGS").is_ok_and(|flags| flags.contains("sanitizer")) {
        return;
    }
    let library = library();
    for (program, expected) in PROGRAMS {
        let said = compiled(program, &library);
        assert_eq!(expected.is_empty(), said.is_empty(), "{program}\n{said}");
        for sentence in *expected {
            assert!(said.contains(sentence), "{program}: {sentence:?} is not said\n{said}");
        }
    }
}
