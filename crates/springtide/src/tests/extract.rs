//! What requests carry, read into values: each case is a request and what becomes of it.

use std::collections::HashMap;

use super::{Backend, Stage, over_all_backends};
use crate::{Request, Response, Server, streamed};

#[derive(serde::Deserialize, Debug)]
#[expect(dead_code, reason = "they are shown")]
struct Tide {
    height: u32,
    harbour: Option<String>,
}

fn server() -> Server {
    Server::new()
        .get("/query", |request: Request| request.query::<Tide>().map(|tide| format!("{tide:?}")))
        .post("/form", |request: Request| {
            let tide: Tide = request.form()?;
            Ok::<_, Response>(format!("{tide:?}"))
        })
        .post("/json", |request: Request| {
            let tide: Tide = request.json()?;
            Ok::<_, Response>(format!("{tide:?}"))
        })
        .get("/cookies", |request: Request| {
            let all: HashMap<&str, &str> = request.cookies().collect();
            format!("{:?} {:?} {}", request.cookie("a"), request.cookie("none"), all.len())
        })
}

fn requests_are_read_into_values(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let get = |target: &str, more: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n")
    };
    let post = |path: &str, kind: &str, body: &str| {
        let kind =
            if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{kind}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let form = "application/x-www-form-urlencoded";
    let brest = r#"Tide { height: 7, harbour: Some("Brest & more") }"#;
    for (request, status, body) in [
        (get("/query?height=7&harbour=Brest+%26+more&else=1", ""), "200", brest),
        (get("/query", ""), "400", "the query is not the one expected: missing field `height`"),
        (get("/query?height=x", ""), "400", "the query is not the one expected: invalid digit"),
        (get("/query?height=1&height=2", ""), "400", "the query is not the one expected: dupl"),
        (post("/form", form, "height=7&harbour=Brest+%26+more"), "200", brest),
        (post("/form", &format!("{}; charset=utf-8", form.to_uppercase()), "height=1"), "200", ""),
        (post("/form", form, "height=-1"), "400", "the body is not the form expected: invalid"),
        (post("/form", "", "height=7"), "415", "the body is not of the type application/x-www"),
        (post("/form", "text/plain", "height=7"), "415", ""),
        (
            post("/json", "application/json", r#"{"height":7,"harbour":"Brest & more"}"#),
            "200",
            brest,
        ),
        (post("/json", "application/tide+json;v=1", r#"{"height":7}"#), "200", ""),
        (post("/json", "", r#"{"height":7}"#), "415", "the body is not of the type app"),
        (post("/json", "application/json;\u{e9}", r#"{"height":7}"#), "200", ""),
        (post("/json", "\u{e9}", r#"{"height":7}"#), "415", "the body is not of the type app"),
        (post("/json", "text/plain", r#"{"height":7}"#), "415", "the body is not of the type app"),
        (post("/json", "application/json", r#"{"height":7"#), "400", "the body is not the JSON"),
        (
            get("/cookies", "Cookie: b=1; a=\"x\"\r\ncookie: a=2;bare; c=\r\n"),
            "200",
            r#"Some("x") None 3"#,
        ),
        (get("/cookies", ""), "200", "None None 0"),
    ] {
        let mut peer = stage.connect();
        let reply = stage.talk_to_end(&mut peer, request.as_bytes());
        let (head, text) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{reply}");
        assert!(text.starts_with(body), "{request}\n{reply}");
    }
}

/// Says what is in a form of several parts; of files it takes the bytes, of `skip` nothing.
async fn describe(mut request: Request) -> Result<String, Response> {
    let (mut parts, mut said) = (request.multipart()?, String::new());
    while let Some(part) = parts.next_part().await? {
        let name = part.name().unwrap_or("-").to_owned();
        said += &match (name.as_str(), part.file_name(), part.content_type()) {
            ("skip", ..) => "skipped".to_owned(),
            (_, None, _) => format!("{name}={}", part.text().await?),
            (_, Some(file), kind) => {
                let head = format!("{name}: {file} {kind:?}");
                format!("{head} {} bytes", part.bytes().await?.len())
            }
        };
        said += "|";
    }
    Ok(said)
}

/// The head of a part is short, however small the pieces are in which it comes.
#[test]
fn heads_of_parts_are_short() {
    for (length, expected) in [(10_000, "200 a=hi|"), (40_000, "400 the head of a part is longer")]
    {
        let server = Server::new().post("/", streamed(describe));
        let mut stage = Stage::new(Backend::Simulated, server);
        let field = r#"Content-Disposition: form-data; name="a""#;
        let long = "x".repeat(length);
        let body = format!("--tide\r\nX: {long}\r\n{field}\r\n\r\nhi\r\n--tide--\r\n");
        let mut said = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
            Content-Type: multipart/form-data; boundary=tide\r\n\
            Transfer-Encoding: chunked\r\n\r\n"
            .to_owned();
        body.chars().for_each(|letter| said += &format!("1\r\n{letter}\r\n"));
        said += "0\r\n\r\n";
        let mut peer = stage.connect();
        let reply = stage.talk_to_end(&mut peer, said.as_bytes());
        let (head, text) = reply.split_once("\r\n\r\n").unwrap();
        let said = format!("{} {text}", head.split(' ').nth(1).unwrap());
        assert!(said.starts_with(expected), "{said}");
    }
}

fn forms_of_parts_are_read(backend: Backend) {
    let server = Server::new().post("/whole", describe).post("/pieces", streamed(describe));
    let mut stage = Stage::new(backend, server);
    let form = |parts: &str| parts.replace('~', "\r\n");
    let field = r#"Content-Disposition: form-data; name="a""#;
    let long = "x".repeat(100_000);
    let file =
        r#"Content-Disposition: form-data; name="f"; filename="t.bin"~Content-Type: text/css"#;
    let skip = r#"Content-Disposition: form-data; name="skip""#;
    let kind = "multipart/form-data; boundary=tide";
    for (kind, body, expected) in [
        (kind, form(&format!("--tide~{field}~~high~--tide--~")), "200 a=high|"),
        (
            kind,
            form(&format!(
                "before~--tide~{skip}~~{long}~--tide~{file}~~{long}~--tide~{field}~~~--tide--"
            )),
            r#"200 skipped|f: t.bin Some("text/css") 100000 bytes|a=|"#,
        ),
        (kind, form("--tide--~"), "200 "),
        (kind, form(&format!("--tide~{field}~~hi")), "400 the parts of the body are malformed: "),
        (kind, form("--tide~no field~~hi~--tide--"), "400 the parts of the body are malformed: "),
        (kind, long.clone(), "400 the "),
        (kind, String::new(), "400 the parts of the body are malformed: "),
        ("multipart/form-data", String::new(), "400 the type of the body names no boundary"),
        ("text/plain", String::new(), "415 the body is not of the type multipart/form-data"),
    ] {
        for path in ["/whole", "/pieces"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {kind}\r\n"
            );
            let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let mut peer = stage.connect();
            let reply = stage.talk_to_end(&mut peer, request.as_bytes());
            let (head, text) = reply.split_once("\r\n\r\n").unwrap();
            let said = format!("{} {text}", head.split(' ').nth(1).unwrap());
            assert!(said.starts_with(expected), "{path} {expected}\n{said}");
        }
    }
}

mod still {
    use super::forms_of_parts_are_read;

    crate::tests::over_still_backends!(forms_of_parts_are_read);
}

over_all_backends!(requests_are_read_into_values);
