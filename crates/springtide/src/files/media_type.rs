//! Media types of files by their names.
//! What a file holds is never guessed from its bytes.

/// What nothing is known of.
const UNKNOWN: &str = "application/octet-stream";

/// Whether a name is that of a directory's page: no file's ends in a slash.
pub(super) fn is_listing(name: &str) -> bool {
    name.ends_with('/')
}

/// The media type of a file. Text is taken to be UTF-8, as nearly all of it is; JSON is UTF-8 by
/// its definition and has no such parameter (RFC 8259 §11).
pub(super) fn of(name: &str) -> &'static str {
    if is_listing(name) {
        return "text/html; charset=utf-8";
    }
    match mime_guess::from_path(name).first_raw() {
        None => UNKNOWN,
        // Source maps, which the list takes for plain text (ECMA-426 §10).
        Some(_) if name.ends_with(".map") => "application/json",
        Some("text/html") => "text/html; charset=utf-8",
        Some("text/css") => "text/css; charset=utf-8",
        Some("text/plain") => "text/plain; charset=utf-8",
        // RFC 9239 §6 made text/javascript the one name.
        Some("text/javascript" | "application/javascript" | "application/x-javascript") => {
            "text/javascript; charset=utf-8"
        }
        Some("text/csv") => "text/csv; charset=utf-8",
        Some("text/tab-separated-values") => "text/tab-separated-values; charset=utf-8",
        Some("text/markdown") => "text/markdown; charset=utf-8",
        Some("text/xml") => "text/xml; charset=utf-8",
        Some("text/calendar") => "text/calendar; charset=utf-8",
        Some("text/vtt") => "text/vtt; charset=utf-8",
        Some("text/x-toml") => "text/x-toml; charset=utf-8",
        Some("text/x-yaml") => "text/x-yaml; charset=utf-8",
        Some("text/x-rust") => "text/x-rust; charset=utf-8",
        Some("image/svg+xml") => "image/svg+xml; charset=utf-8",
        Some(other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_name() {
        let table = [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.htm", "text/html; charset=utf-8"),
            ("UPPER.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.js.map", "application/json"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.xml", "text/xml; charset=utf-8"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("favicon.ico", "image/x-icon"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.pdf", "application/pdf"),
            ("a.mp4", "video/mp4"),
            ("a.gz", "application/gzip"),
            ("a.tar.gz", "application/gzip"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.unheard-of", UNKNOWN),
            ("LICENSE", UNKNOWN),
            ("a.html/b", UNKNOWN),
            ("a.png/", "text/html; charset=utf-8"),
            (".html", UNKNOWN),
            ("", UNKNOWN),
        ];
        for (name, media_type) in table {
            assert_eq!(of(name), media_type, "{name:?}");
        }
    }
}
