//! A network namespace of the calling thread's own, and the trouble that is made in it.
//! It never touches the network that the test was started in.

use std::fs::read_link;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};

/// What happens to packets between client and server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// So many of a hundred packets are lost, in either direction.
    pub(crate) loss_percent: u32,
    /// Some packets are answered by a reset, in either direction.
    pub(crate) has_resets: bool,
    /// Sockets of both ends have buffers of 4 KB.
    pub(crate) has_tiny_buffers: bool,
}

/// The namespace: what this thread and those that it starts from now on see as the network. It ends
/// with the last of them.
pub(crate) struct Namespace {
    outside: PathBuf,
}

/// The network of this thread.
fn network() -> PathBuf {
    read_link("/proc/thread-self/ns/net").unwrap()
}

/// Loopback with packets as small as on a wire, so that there are many of them to lose. What is lost
/// is sent again after 10 ms, where the system lets us say so, so that a minute is enough.
const BEGIN: &str = "ip link set lo up mtu 1500 gso_max_segs 1
    rto=/proc/sys/net/ipv4/tcp_rto_min_us
    if [ -e $rto ]; then echo 10000 > $rto; fi
";

impl Namespace {
    pub(crate) fn enter() -> Self {
        let outside = network();
        unshare(CloneFlags::CLONE_NEWNET).expect("root makes network namespaces");
        let namespace = Self { outside };
        namespace.run(BEGIN);
        namespace
    }

    /// Runs a script in the namespace, and nowhere else.
    fn run(&self, script: &str) -> String {
        assert_ne!(network(), self.outside, "this would change the network of the machine");
        let mut shell = Command::new("sh")
            .args(["-e", "-s"])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir(Path::new("/"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "this failed:\n{script}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Buffers as small as the trouble wants them, for all sockets that are made from now on.
    pub(crate) fn set_buffers(&self, trouble: Trouble) {
        if trouble.has_tiny_buffers {
            self.run(
                "for which in rmem wmem; do
                     echo 4096 4096 4096 > /proc/sys/net/ipv4/tcp_$which
                 done",
            );
        }
    }

    /// Begins to drop and to reset, at random, what comes from and goes to a port.
    ///
    /// A packet is dropped where it comes in: where it goes out, its sender would be told. Packets
    /// without a connection's own bytes and acknowledgements are spared resets: a lost attempt to
    /// connect is a client's trouble.
    pub(crate) fn begin(&self, trouble: Trouble, port: u16) {
        let mut rules = String::new();
        if trouble.has_resets {
            for (end, in_a_thousand) in [("dport", RESETS_OF_CLIENTS), ("sport", RESETS_OF_SERVER)]
            {
                rules += &format!(
                    "tcp {end} {port} tcp flags & (syn | rst | fin) == 0 \
                     numgen random mod 1000 < {in_a_thousand} \
                     counter name resets reject with tcp reset\n"
                );
            }
        }
        if trouble.loss_percent > 0 {
            let percent = trouble.loss_percent;
            rules += &format!("numgen random mod 100 < {percent} counter name losses drop\n");
        }
        let table = format!(
            "table inet trouble {{
                counter losses {{}}
                counter resets {{}}
                chain input {{
                    type filter hook input priority 0
                    {rules}
                }}
            }}"
        );
        self.run(&format!("nft -f - <<'RULES'\n{table}\nRULES\n"));
    }

    /// How many packets were lost, and how many were answered by a reset.
    pub(crate) fn made(&self) -> (u64, u64) {
        let count = |counter: &str| {
            let said = self.run(&format!("nft list counter inet trouble {counter}"));
            let (_, rest) = said.split_once("packets ").unwrap();
            rest.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        (count("losses"), count("resets"))
    }
}

/// Packets of a thousand that are answered by a reset, by who sent them. A client that has only to
/// listen does not hear of a reset of the server's until it asks, so there are fewer of these.
const RESETS_OF_CLIENTS: u32 = 4;
const RESETS_OF_SERVER: u32 = 1;
