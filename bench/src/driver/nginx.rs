//! nginx as a peer: one process, its configuration made for each start.
//! It must never write outside of the scratch directory.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Writes the configuration and returns the arguments that name it.
pub(super) fn arguments(
    scratch: &Path,
    files: &Path,
    address: SocketAddr,
) -> io::Result<[String; 6]> {
    let place = scratch.join("nginx");
    fs::create_dir_all(&place)?;
    let path = place.join("nginx.conf");
    fs::write(&path, configuration(&place, files, address))?;
    let text = |path: &Path| path.display().to_string();
    let log = text(&place.join("error.log"));
    Ok(["-p".into(), text(&place), "-c".into(), text(&path), "-e".into(), log])
}

fn configuration(place: &Path, files: &Path, address: SocketAddr) -> String {
    let place = place.display();
    let files = files.display();
    format!(
        r#"daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {place}/nginx.pid;
error_log {place}/error.log crit;
events {{ worker_connections 19000; multi_accept on; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    open_file_cache max=100;
    default_type "text/plain; charset=utf-8";
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen {address} backlog=4096;
        location = /plaintext {{ return 200 "Hello, World!"; }}
        location = /json {{
            default_type application/json;
            return 200 '{{"message":"Hello, World!"}}';
        }}
        location /file/ {{ alias {files}/; }}
    }}
}}
"#
    )
}
