//! `Accept` (RFC 9110 §12.5.1): whether a request asks for a page.
//! It looks for one type only.

use super::coding::weight_of;

/// Whether a request names HTML among what it takes, or all text. That it takes anything at all is
/// not enough: so do scripts and images, which a page would only confuse.
pub(super) fn names_html(accepted: &[u8]) -> bool {
    let weight = |wanted: &str| {
        accepted.split(|byte| *byte == b',').find_map(|element| {
            let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().filter(|name| name.eq_ignore_ascii_case(wanted.as_bytes()));
            name.map(|_| parts.find_map(weight_of))
        })
    };
    weight("text/html").or_else(|| weight("text/*")).is_some_and(|weight| weight != Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_pages() {
        for (accepted, html) in [
            ("text/html", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json, Text/HTML;level=1;q=0.1", true),
            ("text/*", true),
            ("text/html;q=0", false),
            ("text/html;q=0, text/*", false),
            ("text/*;q=0.0", false),
            ("*/*", false),
            ("image/avif,image/webp,*/*;q=0.8", false),
            ("application/json", false),
            ("text/htmlx", false),
            ("", false),
        ] {
            assert_eq!(names_html(accepted.as_bytes()), html, "{accepted:?}");
        }
    }
}
