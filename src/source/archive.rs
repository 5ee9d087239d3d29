//! Build contexts as tar streams, made while they are consumed.

use super::on_disk::{OnDisk, changed, content};
use crate::model::{ContextFile, FileKind};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use git2::{ObjectType, Oid, Repository};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes per chunk.
const CHUNK: usize = 64 << 10;
/// Chunks that wait for the consumer.
const QUEUE: usize = 4;

/// Where the contents of files come from, by their git id; cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    from: Arc<From>,
}

#[derive(Debug)]
enum From {
    Repository(PathBuf),
    Folder { root: PathBuf, paths: OnDisk },
}

impl Blobs {
    pub(super) fn of_repository(path: PathBuf) -> Self {
        Self { from: Arc::new(From::Repository(path)) }
    }

    pub(super) fn of_folder(root: PathBuf, paths: OnDisk) -> Self {
        Self { from: Arc::new(From::Folder { root, paths }) }
    }

    pub(super) fn place(&self) -> &Path {
        match &*self.from {
            From::Repository(path) => path,
            From::Folder { root, .. } => root,
        }
    }

    /// A tar stream of these files in the given order, the same bytes each time: no times, no owners, mode 0644 or 0755.
    /// Submodules are left out (git has none of their content). At most one object and a few chunks are in memory; the
    /// thread behind it starts with the first poll and ends when the stream is dropped.
    pub fn archive(&self, files: Arc<[ContextFile]>) -> BoxStream<'static, io::Result<Bytes>> {
        let from = Arc::clone(&self.from);
        let start = move || {
            let (chunks, receiver) = mpsc::channel(QUEUE);
            let failures = chunks.clone();
            let thread = std::thread::Builder::new().name("git-archive".to_owned()).spawn(move || {
                if let Err(error) = write(&from, &files, chunks) {
                    // A consumer that left does not want to hear of it.
                    let _ = failures.blocking_send(Err(error));
                }
            });
            match thread {
                Ok(_) => receiver,
                Err(error) => {
                    let (only, receiver) = mpsc::channel(1);
                    let _ = only.try_send(Err(error));
                    receiver
                }
            }
        };
        stream::once(async move { start() })
            .flat_map(|receiver| {
                stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
            })
            .boxed()
    }
}

fn write(from: &From, files: &[ContextFile], chunks: mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let repo = match from {
        From::Repository(path) => Some(Repository::open(path).map_err(git)?),
        From::Folder { .. } => None,
    };
    let mut tar = tar::Builder::new(BufWriter::with_capacity(CHUNK, Chunks(chunks)));
    for file in files {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.path));
        let oid = Oid::from_str(&file.oid).map_err(git).map_err(named)?;
        match (from, &repo) {
            _ if file.kind == FileKind::Submodule => {
                tracing::warn!(file = %file.path, "a submodule in a build context is left out: its content is not in this repository");
            }
            (From::Repository(_), Some(repo)) => {
                let odb = repo.odb().map_err(git)?;
                let object = odb.read(oid).map_err(git).map_err(named)?;
                append(&mut tar, file, object.len() as u64, object.data())?;
            }
            (From::Folder { root, paths }, _) => from_disk(&mut tar, file, oid, root, paths).map_err(named)?,
            (From::Repository(_), None) => {}
        }
    }
    tar.into_inner()?.flush()
}

fn from_disk(
    tar: &mut tar::Builder<impl Write>,
    file: &ContextFile,
    oid: Oid,
    root: &Path,
    paths: &OnDisk,
) -> io::Result<()> {
    let path = paths.get(&(oid, file.kind == FileKind::Symlink)).map(|path| root.join(path)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no file with this content below {}", root.display()))
    })?;
    if file.kind == FileKind::Symlink {
        let target = content(&path, file.kind)?;
        return append(tar, file, target.len() as u64, &*target);
    }
    // Hashed first and streamed then, so that a large file is never held; a change in between shows in its length.
    if path.symlink_metadata()?.is_symlink() || Oid::hash_file(ObjectType::Blob, &path).map_err(git)? != oid {
        return Err(changed());
    }
    let opened = File::open(&path)?;
    let size = opened.metadata()?.len();
    if size != file.size {
        return Err(changed());
    }
    append(tar, file, size, Exact { inner: opened, left: size })
}

fn append(tar: &mut tar::Builder<impl Write>, file: &ContextFile, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(if file.kind == FileKind::Executable { 0o755 } else { 0o644 });
    if file.kind == FileKind::Symlink {
        let mut target = Vec::new();
        content.take(64 << 10).read_to_end(&mut target)?;
        header.set_mode(0o777);
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        let target = OsString::from_vec(target);
        return tar.append_link(&mut header, &file.path, target);
    }
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    tar.append_data(&mut header, &file.path, content)
}

/// Reads exactly so many bytes: a shorter file would shift everything after it in the archive.
struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..wanted).filter(|part| !part.is_empty()) else { return Ok(0) };
        let read = self.inner.read(part)?;
        if read == 0 {
            return Err(changed());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Hands chunks to the consumer; waits while it is slow.
struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // A large object bypasses the buffer; it still goes out in chunks.
        let part = buffer.get(..buffer.len().min(CHUNK)).unwrap_or(buffer);
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(part)))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the consumer of the archive left"))?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form map_err takes")]
fn git(error: git2::Error) -> io::Error {
    io::Error::other(error.message().to_owned())
}
