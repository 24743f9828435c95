//! The operations of tasks on files, and what each gives.
//! They are names; what is done for them stands in `fs`.

use bytes::Bytes;

use super::{Ended, Operation, sealed};
use crate::fs::{DirEntry, File, Metadata, RemoteFile};
use crate::peer::Reason;

/// Names of operations that always give something when they end well.
macro_rules! operations {
    ($($(#[$words:meta])* $name:ident: $output:ty = $ended:pat => $value:expr;)*) => {
        $(
            $(#[$words])*
            #[derive(Debug)]
            pub struct $name;

            impl sealed::Sealed for $name {}

            impl Operation for $name {
                type Output = $output;
                type Value = $output;

                fn output(ended: Ended) -> Result<$output, Reason> {
                    match ended {
                        $ended => Ok($value),
                        other => Err(other.failure()),
                    }
                }

                fn value(output: $output) -> Option<$output> {
                    Some(output)
                }
            }
        )*
    };
}

operations! {
    /// A file that is open.
    OpenFile: File = Ended::File(opened) => File::of(opened);
    /// The same as any thread holds it.
    OpenRemoteFile: RemoteFile = Ended::File(opened) => RemoteFile::of(opened);
    /// Bytes of a file.
    FileRead: Bytes = Ended::Bytes(bytes) => bytes;
    /// The same in several buffers.
    ReadAll: Vec<Bytes> = Ended::Pieces(pieces) => pieces;
    /// Bytes to a file, which come back.
    Written: Bytes = Ended::Bytes(bytes) => bytes;
    /// The same in several pieces.
    WriteAll: Vec<Bytes> = Ended::Pieces(pieces) => pieces;
    /// A change of a file or of names, of which there is nothing to tell.
    Change: () = Ended::Done => ();
    /// What is known of a file.
    Known: Metadata = Ended::Known(known) => *known;
    /// The names in a directory.
    Names: Vec<DirEntry> = Ended::Names(names) => names;
}
