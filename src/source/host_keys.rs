//! Which kinds of host key an ssh server is asked for: those that are known of it, as OpenSSH does.
//!
//! libssh2 would ask for its preferred kind, and a server with keys of several kinds would present one that is not listed.
//! libgit2 limits it to the kinds that `~/.ssh/known_hosts` lists for the host, and has no other way to set them. So its idea
//! of the home folder is pointed to a folder of ours, with a file that lists the kinds that the configured `known_hosts` knows.
//! The keys in it are made up: whether the presented one is right is decided in `remote`, by the configured file alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The folder that libgit2 takes for the home folder, once it is set; held while a connection is opened.
static HOME: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Looks like a key, as far as the reader of the file is concerned.
const ANY_KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Tells libgit2, before it starts anything, where the list will be. Only the first folder counts: libgit2 keeps one, and
/// replacing it while another thread reads it would not be safe.
#[expect(unsafe_code, reason = "libgit2's process-wide home folder")]
pub(super) fn prepare(folder: &Path) {
    let mut home = HOME.lock().unwrap_or_else(PoisonError::into_inner);
    if home.is_some() {
        return;
    }
    let folder = folder.join("ssh");
    let Ok(path) = std::ffi::CString::new(folder.as_os_str().as_encoded_bytes()) else { return };
    // Before this nothing of libgit2 may be touched.
    libgit2_sys::init();
    // SAFETY: the text lives through the call, which copies it; the lock keeps others of ours from setting it meanwhile.
    let set =
        unsafe { libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_SET_HOMEDIR as std::ffi::c_int, path.as_ptr()) };
    if set == 0 {
        *home = Some(folder);
    }
}

/// Has the next connection ask `host` for keys of these kinds only; none is any kind. Lasts while the guard lives.
pub(super) fn ask_for(kinds: &[String], host: &str, port: u16) -> MutexGuard<'static, Option<PathBuf>> {
    let home = HOME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = &*home
        && let Err(error) = write(folder, kinds, host, port)
    {
        tracing::debug!(folder = %folder.display(), %error, "the server is asked for host keys of any kind");
    }
    home
}

fn write(folder: &Path, kinds: &[String], host: &str, port: u16) -> io::Result<()> {
    let folder = folder.join(".ssh");
    std::fs::create_dir_all(&folder)?;
    let lines: String = kinds.iter().map(|kind| format!("[{host}]:{port} {kind} {ANY_KEY}\n")).collect();
    std::fs::write(folder.join("known_hosts"), lines)
}
