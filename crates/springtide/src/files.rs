//! Stub.
use crate::response::Response;
use springtide_engine::{Completion, Handle};
use springtide_proto::http1::Exchange;
use std::path::{Path, PathBuf};
#[derive(Debug, Clone)]
/// Files
pub struct Files(PathBuf);
impl Files {
    /// New
    pub fn new(d: impl Into<PathBuf>) -> Self { Self(d.into()) }
    pub(crate) fn directory(&self) -> &Path { &self.0 }
}
impl<T: Into<PathBuf>> From<T> for Files { fn from(p: T) -> Self { Self::new(p) } }
#[derive(Clone, Copy)]
pub(crate) struct RootId;
#[derive(Clone, Copy)]
pub(crate) struct StreamId;
pub(crate) struct FileService;
#[derive(Default)]
pub(crate) struct FileQuery<'a> {
    pub(crate) is_head: bool, pub(crate) path: &'a str, pub(crate) request_path: &'a str,
    pub(crate) if_match: Option<&'a [u8]>,
    pub(crate) if_none_match: Option<&'a [u8]>,
    pub(crate) if_modified_since: Option<&'a [u8]>,
    pub(crate) if_unmodified_since: Option<&'a [u8]>,
    pub(crate) if_range: Option<&'a [u8]>,
    pub(crate) range: Option<&'a [u8]>,
}
#[derive(Clone, Copy)]
pub(crate) struct Asker { pub connection: u64, pub exchange: Exchange }
pub(crate) enum FileReply { Whole(Response), Streamed { response: Response, length: u64, stream: StreamId } }
pub(crate) enum FileEvent { Reply(Asker, FileReply), Piece { asker: Asker, stream: StreamId, bytes: Vec<u8>, is_last: bool }, Broken { asker: Asker, stream: StreamId } }
impl FileService {
    pub(crate) fn new(_: u64) -> Self { Self }
    pub(crate) fn add_root(&mut self, _: &mut dyn Handle, _: &Files) -> Result<RootId, springtide_engine::Error> { Ok(RootId) }
    pub(crate) fn request(&mut self, _: &mut dyn Handle, _: RootId, _: &FileQuery<'_>, _: Asker) -> Option<FileReply> { Some(FileReply::Whole(Response::empty(http::StatusCode::NOT_FOUND))) }
    pub(crate) fn complete(&mut self, _: &mut dyn Handle, _: Completion, _: &mut Vec<FileEvent>) {}
    pub(crate) fn next_piece(&mut self, _: &mut dyn Handle, _: StreamId) {}
    pub(crate) fn abandon(&mut self, _: &mut dyn Handle, _: StreamId) {}
}
