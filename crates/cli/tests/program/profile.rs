//! The program under the profile for containers, `deploy/seccomp.json`: what is not allowed there is
//! refused by the kernel, as a container engine would have it (seccomp(2)).

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Value, json};

use crate::curl;
use crate::process::{Program, command};
use crate::{ENGINES, Site};

/// A filter that answers calls of these rules with `action`, and others with `otherwise`; none where the
/// machine does not know a call.
fn filter(rules: &[Value], action: &Value, otherwise: &Value) -> Option<BpfProgram> {
    let filter = json!({"match_action": action, "mismatch_action": otherwise, "filter": rules});
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let text = json!({ "only": filter }).to_string();
    let compiled: Result<BTreeMap<_, _>, _> =
        seccompiler::compile_from_json(text.as_bytes(), arch).map(|own| own.into_iter().collect());
    compiled.ok().map(|mut own: BTreeMap<String, BpfProgram>| own.remove("only").unwrap())
}

/// One rule of the profile for each of its calls, in the compiler's words.
fn rules(rule: &Value) -> Vec<Value> {
    let args = rule["args"].as_array().map(|args| {
        let arg = |arg: &Value| {
            assert_eq!(arg["op"], "SCMP_CMP_MASKED_EQ");
            let op = json!({"masked_eq": arg["value"]});
            json!({"index": arg["index"], "type": "qword", "op": op, "val": arg["valueTwo"]})
        };
        args.iter().map(arg).collect::<Vec<_>>()
    });
    let names = rule["names"].as_array().unwrap().iter();
    names.map(|name| json!({"syscall": name, "args": args})).collect()
}

/// The calling thread, and what it starts, may do what the profile allows from here on.
fn confine() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/seccomp.json");
    let profile: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (allow, errno) = (json!("allow"), |number: &Value| json!({ "errno": number }));
    let of = |action: &str| {
        let own = profile["syscalls"].as_array().unwrap().iter();
        own.filter(|rule| rule["action"] == action).collect::<Vec<_>>()
    };
    let refused = errno(&profile["defaultErrnoRet"]);
    let allowed = of("SCMP_ACT_ALLOW").into_iter().flat_map(rules);
    // Calls of other machines are in the profile as well.
    let known = |rule: &Value| filter(std::slice::from_ref(rule), &allow, &refused).is_some();
    let allowed: Vec<_> = allowed.filter(known).collect();
    assert!(allowed.len() > 100, "{}", allowed.len());
    let mut filters = vec![filter(&allowed, &allow, &refused).unwrap()];
    // What the last one refuses is refused with its number.
    filters.extend(
        of("SCMP_ACT_ERRNO")
            .into_iter()
            .map(|rule| filter(&rules(rule), &errno(&rule["errnoRet"]), &allow).unwrap()),
    );
    filters.iter().for_each(|own| seccompiler::apply_filter(own).unwrap());
}

/// On each engine: starts, answers, sends what is long, says how it stands, and ends.
#[test]
fn the_program_serves_under_its_profile() {
    let long = "tide ".repeat(2_000_000);
    let site = Site::new("profile", &[("index.html", "app"), ("long.txt", &long)]);
    for engine in ENGINES {
        let path = site.path().to_owned();
        let confined = std::thread::spawn(move || {
            confine();
            Program::start(&mut command(&[
                "serve",
                &path,
                "--listen",
                "127.0.0.1:0",
                "--engine",
                engine,
                "--workers",
                "2",
            ]))
        });
        let program = confined.join().unwrap();
        assert!(program.greeting.contains(&format!("  engine   {engine} (asked for)")));
        assert_eq!(curl(&[&program.url]), "app");
        assert_eq!(curl(&[&format!("{}/long.txt", program.url)]), long);
        assert!(
            std::fs::read_to_string(format!("/proc/{}/status", program.id()))
                .unwrap()
                .contains("Seccomp:\t2\n")
        );
        program.signal("TERM");
        assert_eq!(program.end().0, Some(0), "{engine}");
    }
}

/// A profile that refused nothing would prove nothing.
#[test]
fn what_is_not_allowed_is_refused() {
    let refused = std::thread::spawn(|| {
        confine();
        std::process::Command::new("unshare").args(["--user", "true"]).output()
    });
    let output = refused.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("Operation not permitted"), "{said}");
}
