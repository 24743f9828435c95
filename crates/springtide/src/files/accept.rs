//! `Accept` (RFC 9110 §12.5.1): whether a request asks for a page.
//! It looks for one type only.

use crate::accepted::elements;

/// Whether a request names HTML among what it takes, or all text. That it takes anything at all is
/// not enough: so do scripts and images, which a page would only confuse.
pub(super) fn names_html(accepted: &[u8]) -> bool {
    let named = |name| elements(accepted).find(|element| element.is(name));
    named("text/html").or_else(|| named("text/*")).is_some_and(|element| element.weight > 0)
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
