//! How fast an idle CPU comes back.
//!
//! A CPU that waits goes to sleep, deeper the longer it expects to wait, and needs up to hundreds of microseconds to
//! return. The kernel keeps all CPUs in states from which they return within the smallest number that any process has
//! written to `/dev/cpu_dma_latency`, for as long as that process holds the file open
//! (`Documentation/power/pm_qos_interface.rst`).

use super::refusal::{Facts, NotApplied, dma_latency_refused};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

const FILE: &str = "/dev/cpu_dma_latency";

/// While one lives, no CPU of the machine sleeps deeper than it can wake from immediately. Costs power and, on a CPU whose
/// siblings sleep to let it run faster, some speed.
#[derive(Debug)]
pub struct DmaLatency {
    /// The request holds while this is open.
    _file: File,
}

impl DmaLatency {
    /// Asks for wake-ups without delay until the guard is dropped.
    ///
    /// # Errors
    /// When the file is not there or may not be written; the reason says what helps.
    pub fn hold() -> Result<Self, NotApplied> {
        Self::write().map(|file| Self { _file: file }).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            dma_latency_refused(FILE, errno, &Facts::read(None))
        })
    }

    fn write() -> io::Result<File> {
        let mut file = OpenOptions::new().read(true).write(true).open(FILE)?;
        // Four bytes are taken as a binary number of microseconds.
        file.write_all(&0i32.to_ne_bytes())?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_kernel_keeps_the_request_while_it_is_held() {
        let held = match DmaLatency::hold() {
            Ok(held) => held,
            Err(refused) => {
                eprintln!("skipped: {refused}");
                assert!(!refused.remedy.is_empty());
                return;
            }
        };
        let mut in_force = [0xff; 4];
        (&held._file).read_exact(&mut in_force).unwrap();
        assert_eq!(i32::from_ne_bytes(in_force), 0);
    }
}
