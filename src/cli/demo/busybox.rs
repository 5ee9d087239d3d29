//! A static busybox, of which the images of the demo are made.

use crate::cli::exit::Failure;
use crate::engine::Engine;
use crate::process::error::chain;
use std::fs;
use tokio::sync::mpsc;

/// Where a static busybox comes from when this machine has none.
const BUSYBOX_IMAGE: &str = "busybox:stable-musl";

/// This machine's own, else out of an image that is here or can be pulled.
pub(super) async fn busybox(engine: &Engine) -> Result<Vec<u8>, Failure> {
    for path in ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"] {
        if let Ok(content) = fs::read(path)
            && is_static(&content)
        {
            return Ok(content);
        }
    }
    let (news, mut lines) = mpsc::channel(16);
    let pull = async {
        let news = news;
        engine.pull(BUSYBOX_IMAGE, None, &[], &news).await
    };
    let drain = async { while lines.recv().await.is_some() {} };
    let (pulled, ()) = tokio::join!(pull, drain);
    let found = engine.file_of_image(BUSYBOX_IMAGE, "/bin/busybox").await;
    match (found, pulled) {
        (Ok(Some(content)), _) => Ok(content),
        (_, Err(error)) => Err(Failure::new(format!(
            "there is no static busybox on this machine, and its image cannot be pulled: {}",
            chain(&error)
        ))
        .hint("install one (Debian: `apt-get install busybox-static`); the demo's images are made of it")),
        (Err(error), Ok(())) => Err(error.into()),
        (Ok(None), Ok(())) => Err(Failure::new(format!("image {BUSYBOX_IMAGE} has no /bin/busybox"))),
    }
}

/// Whether an ELF program names no interpreter, so that it runs in an image with nothing else in it.
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let slice = program.get(at..at.checked_add(bytes)?)?;
        Some(slice.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    // 64-bit little-endian only: where the program headers begin, how large one is, how many there are.
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let Some((begin, size, count)) = headers() else { return false };
    (0..count).all(|index| {
        let at = usize::try_from(begin + index * size).ok();
        at.and_then(|at| number(at, 4)).is_some_and(|kind| kind != u64::from(PT_INTERP))
    })
}
