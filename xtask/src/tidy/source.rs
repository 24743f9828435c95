//! One Rust file as a flat list of tokens that know whether they stand in a test and in a function
//! body. Comments and documentation are not tokens, so no check can mistake them for code.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::ops::RangeInclusive;

/// What the checks look at: a path relative to the repository, its text and its tokens.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    /// Lines of items under `#[test]` or `#[cfg(test)]`, attributes included.
    test_lines: Vec<RangeInclusive<usize>>,
}

pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) in_test: bool,
    pub(crate) in_body: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Mark,
    Literal,
}

impl Source {
    /// Reads `text` into tokens; what the lexer says otherwise names the line.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, String> {
        let stream: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
        let place = Place { in_test: is_test_path(path), in_body: false };
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens: Vec::new(),
            test_lines: Vec::new(),
        };
        source.walk(stream, place);
        Ok(source)
    }

    /// Tokens that begin a run of tokens equal to `pattern`.
    pub(crate) fn runs<'a>(&'a self, pattern: &'a [&'a str]) -> impl Iterator<Item = &'a Token> {
        self.tokens
            .windows(pattern.len())
            .filter(move |run| run.iter().zip(pattern).all(|(token, word)| token.text == *word))
            .map(|run| &run[0])
    }

    /// Lines that are no test; none for a file of tests.
    pub(crate) fn production_lines(&self) -> usize {
        if is_test_path(&self.path) {
            return 0;
        }
        let tests: usize =
            self.test_lines.iter().map(|lines| lines.end() + 1 - lines.start()).sum();
        self.text.lines().count().saturating_sub(tests)
    }

    /// True for the sources that end up in the crate, as opposed to its tests and examples.
    pub(crate) fn is_crate_source(&self) -> bool {
        self.path.starts_with("crates/") && self.path.contains("/src/")
    }

    fn walk(&mut self, stream: TokenStream, mut place: Place) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut item = Item::default();
        let mut at = 0;
        while at < trees.len() {
            if let Some(attribute) = Attribute::at(&trees, at) {
                place.in_test |= attribute.inner && attribute.marks_test;
                if !attribute.inner && attribute.marks_test {
                    item.test_since.get_or_insert(attribute.line);
                }
                if attribute.is_documentation {
                    at += attribute.length;
                    continue;
                }
            }
            if is_function_head(&trees, at) {
                item.is_function = true;
            }
            at += self.push(&trees, at, place, &mut item);
        }
    }

    /// Adds the tree at `at` and what is in it; returns how many trees that took.
    fn push(&mut self, trees: &[TokenTree], at: usize, place: Place, item: &mut Item) -> usize {
        let line = trees[at].span().start().line;
        let place = Place { in_test: place.in_test || item.test_since.is_some(), ..place };
        match &trees[at] {
            TokenTree::Group(group) => {
                let is_block = group.delimiter() == Delimiter::Brace;
                let (open, close) = marks_of(group.delimiter());
                let in_body = place.in_body || (is_block && item.is_function);
                let last_line = group.span_close().end().line;
                self.add(open, line, Kind::Mark, place);
                self.walk(group.stream(), Place { in_body, ..place });
                self.add(close, last_line, Kind::Mark, place);
                if is_block {
                    self.end_item(item, last_line);
                }
                1
            }
            TokenTree::Ident(ident) => {
                self.add(&ident.to_string(), line, Kind::Word, place);
                1
            }
            TokenTree::Literal(literal) => {
                self.add(&literal.to_string(), line, Kind::Literal, place);
                1
            }
            TokenTree::Punct(punct) => {
                let joined = punct.spacing() == Spacing::Joint;
                match (punct.as_char(), trees.get(at + 1)) {
                    ('\'', Some(TokenTree::Ident(name))) => {
                        self.add(&format!("'{name}"), line, Kind::Mark, place);
                        2
                    }
                    (':', Some(TokenTree::Punct(next))) if joined && next.as_char() == ':' => {
                        self.add("::", line, Kind::Mark, place);
                        2
                    }
                    (mark, _) => {
                        self.add(&mark.to_string(), line, Kind::Mark, place);
                        if mark == ';' {
                            self.end_item(item, line);
                        }
                        1
                    }
                }
            }
        }
    }

    fn end_item(&mut self, item: &mut Item, last_line: usize) {
        if let Some(first_line) = item.test_since {
            // A test inside this item has been counted already: the item takes its place.
            self.test_lines.retain(|lines| *lines.start() < first_line);
            self.test_lines.push(first_line..=last_line);
        }
        *item = Item::default();
    }

    fn add(&mut self, text: &str, line: usize, kind: Kind, place: Place) {
        let Place { in_test, in_body } = place;
        self.tokens.push(Token { text: text.to_owned(), line, kind, in_test, in_body });
    }
}

/// True for files that hold tests only.
pub(crate) fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
}

#[derive(Clone, Copy)]
struct Place {
    in_test: bool,
    in_body: bool,
}

/// What is known of the item that the walk is in, until its block or semicolon.
#[derive(Default)]
struct Item {
    test_since: Option<usize>,
    is_function: bool,
}

struct Attribute {
    inner: bool,
    marks_test: bool,
    is_documentation: bool,
    length: usize,
    line: usize,
}

impl Attribute {
    fn at(trees: &[TokenTree], at: usize) -> Option<Self> {
        let is_mark = |index: usize, mark: char| matches!(trees.get(index), Some(TokenTree::Punct(p)) if p.as_char() == mark);
        if !is_mark(at, '#') {
            return None;
        }
        let inner = is_mark(at + 1, '!');
        let group_at = at + 1 + usize::from(inner);
        let Some(TokenTree::Group(group)) = trees.get(group_at) else { return None };
        if group.delimiter() != Delimiter::Bracket {
            return None;
        }
        let text = group.stream().to_string();
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let name = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let marks_test =
            name == "test" || (name == "cfg" && rest.contains(&"test") && !rest.contains(&"not"));
        Some(Self {
            inner,
            marks_test,
            is_documentation: name == "doc",
            length: group_at + 1 - at,
            line: trees[at].span().start().line,
        })
    }
}

/// `fn name`, not the type `fn(…)`.
fn is_function_head(trees: &[TokenTree], at: usize) -> bool {
    matches!(&trees[at], TokenTree::Ident(word) if word == "fn")
        && !matches!(trees.get(at + 1), Some(TokenTree::Group(_)) | None)
}

fn marks_of(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, keep: impl Fn(&Token) -> bool) -> Vec<String> {
        let source = Source::parse("crates/engine/src/x.rs", text).unwrap();
        let kept = source.tokens.into_iter().filter(|t| t.kind == Kind::Word && keep(t));
        kept.map(|token| token.text).collect()
    }

    #[test]
    fn tokens_know_their_test() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}";
        assert_eq!(words(text, |t| t.in_test), ["cfg", "test", "mod", "tests", "fn", "b"]);
        assert_eq!(words("#[cfg(not(test))] mod a {}", |t| t.in_test), [""; 0]);
        assert_eq!(
            words("#[cfg(test)] use a::b; fn c() {}", |t| t.in_test && t.text == "fn"),
            [""; 0]
        );
    }

    #[test]
    fn tokens_know_their_body() {
        let text = "fn a(x: fn(u8)) -> u8 { b } struct C { d: u8 } impl E { fn f() { { g } } }";
        assert_eq!(words(text, |t| t.in_body), ["b", "g"]);
    }

    #[test]
    fn comments_and_documentation_are_no_tokens() {
        assert_eq!(words("/// b\n// c\n/* d */ struct A;", |_| true), ["struct", "A"]);
    }

    #[test]
    fn lifetimes_and_paths_are_one_token() {
        let source = Source::parse("x.rs", "a::b<'static>").unwrap();
        let texts: Vec<&str> = source.tokens.iter().map(|t| t.text.as_str()).collect();
        assert_eq!(texts, ["a", "::", "b", "<", "'static", ">"]);
    }

    #[test]
    fn test_lines_are_not_production_lines() {
        let text = "fn a() {\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {\n    }\n}\nfn c() {}";
        let count = |path: &str| Source::parse(path, text).unwrap().production_lines();
        assert_eq!(count("crates/engine/src/x.rs"), 4);
        assert_eq!(count("crates/engine/tests/x.rs"), 0);
    }
}
