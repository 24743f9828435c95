//! The pages of `docs/` and the README, whose examples are compiled and run as tests here.
//! It exists for those tests only.

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        $(#[doc = include_str!(concat!("../../../", $path))] struct $name;)*
    };
}

pages! {
    Readme: "README.md",
    QuickStart: "docs/quick-start.md",
    Concepts: "docs/concepts.md",
    Raw: "docs/raw.md",
    Clients: "docs/client.md",
    WebSocket: "docs/websocket.md",
    Testing: "docs/testing.md",
    LoggingAndMetrics: "docs/logging-and-metrics.md",
    AskingOthers: "docs/asking-others.md",
    BehindAProxy: "docs/behind-a-proxy.md",
    FromAxum: "docs/from-axum.md",
    FromNginx: "docs/from-nginx.md",
}
