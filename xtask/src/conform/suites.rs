//! The source archives that hold the cases: fetched once from PyPI by pip, with their sums. Nothing
//! of them leaves the folder of what is built.

use super::cases::{self, Case};
use crate::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A source archive, its sum, and the folder of its cases.
struct Archive {
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
    cases: &'static str,
    read: fn(&Path, &mut Vec<Case>) -> Result<(), Error>,
}

const ARCHIVES: [Archive; 2] = [
    Archive {
        name: "gunicorn",
        version: "27.0.1",
        sha256: "b1514965361c8b7e8107a80aa2a92636878df1ccfac6dd204a676426e04d9e3e",
        cases: "tests/requests",
        read: cases::read_gunicorn,
    },
    Archive {
        name: "aiohttp",
        version: "3.14.5",
        sha256: "5558a7f5a05af9ecf744af91e5baefc436f93c9333e656c27ec253f9a6bbe178",
        cases: "vendor/llhttp/test/request",
        read: cases::read_llhttp,
    },
];

/// Every case, fetched into `folder` if it is not there yet.
pub(super) fn fetch(folder: &Path) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    for archive in &ARCHIVES {
        let unpacked = folder.join(format!("{}-{}", archive.name, archive.version));
        if !unpacked.join(archive.cases).is_dir() {
            download(folder, archive)?;
        }
        (archive.read)(&unpacked.join(archive.cases), &mut cases)?;
    }
    Ok(cases)
}

fn download(folder: &Path, archive: &Archive) -> Result<(), Error> {
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    let list = folder.join("requirements.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", archive.name, archive.version, archive.sha256);
    let wrap = |source| Error::Write { path: list.clone(), source };
    std::fs::write(&list, line).map_err(wrap)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]);
    pip.args(["--require-hashes", "-r"]).arg(&list).arg("-d").arg(folder);
    finish(pip, "pip download: are python3, pip and the network there?")?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(file_of(folder, archive)).arg("-C").arg(folder);
    finish(tar, "tar")
}

fn file_of(folder: &Path, archive: &Archive) -> PathBuf {
    folder.join(format!("{}-{}.tar.gz", archive.name, archive.version))
}

fn finish(mut command: Command, program: &str) -> Result<(), Error> {
    let program = program.to_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Error::Refused { program, said })
        }
        Err(source) => Err(Error::Spawn { program, source }),
    }
}
