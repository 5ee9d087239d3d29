//! Keeping memory where it is, so that a real-time thread waits for no page.

use super::refusal::{Facts, NotApplied, kibibytes, memory_refused};
use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use std::fs;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

/// Left untouched at the end of the stack, for the frames of the touching itself and of signal handlers.
const MARGIN: usize = 16 * 1024;
/// Stack that one round of touching writes; at most the size of a page, so that no page is jumped over.
const STRIDE: usize = 4 * 1024;

/// Whether the memory of this process is locked.
static LOCKED: Mutex<bool> = Mutex::new(false);

/// Locks all memory of the process, what is mapped now and what will be, once and for good: further calls do nothing.
///
/// What is mapped now (the program, the heap, the stacks) is brought in immediately: a page of the program that is first
/// needed in the middle of a release would come from the disk. That takes milliseconds, in which no other thread can map
/// memory; so it happens before the first run, and never again while runs keep their time. What is mapped later stays when
/// it was touched (`MCL_ONFAULT`) and is not brought in beforehand, or each new thread would cost its whole stack of
/// megabytes; a real-time thread therefore touches its stack itself ([`prefault_stack`]) and its buffers before it starts.
///
/// It is never undone: other runs may be in progress, and memory that is needed again at the next run would be paged out in
/// between. The price is that the allocator cannot give back what it has once used.
///
/// A process without `CAP_IPC_LOCK` whose locked memory is limited is refused, even if all of it fits now: beyond the limit
/// no memory could be mapped any more, and the next thread or buffer would fail.
///
/// # Errors
/// When the kernel refuses, or would later; the reason names the limit.
pub fn lock_memory() -> Result<(), NotApplied> {
    let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    if *locked {
        return Ok(());
    }
    let facts = Facts::read(None);
    if !facts.may_lock() {
        return Err(memory_refused(Errno::NOMEM, &facts));
    }
    // In this order: a call without FUTURE takes an earlier FUTURE back.
    mlockall(MlockAllFlags::CURRENT)
        .and_then(|()| mlockall(MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT))
        .map_err(|errno| memory_refused(errno, &facts))?;
    *locked = true;
    Ok(())
}

/// Memory of the process that is locked, in bytes; `None` when the kernel does not say.
pub fn locked_bytes() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmLck:")
}

/// Touches every page of the next `bytes` of the calling thread's stack, or of what is left of it, and says how many
/// bytes that were.
pub fn prefault_stack(bytes: usize) -> usize {
    let here = stack_pointer();
    let left = lowest_of_stack().map_or(0, |lowest| here.saturating_sub(lowest));
    let bytes = bytes.min(left.saturating_sub(MARGIN));
    touch(here - bytes);
    bytes
}

/// Writes to every page of the stack from here down to the address `end`. It goes by addresses, not by counting,
/// because how large a frame is beyond its array is the compiler's affair.
#[inline(never)]
fn touch(end: usize) {
    let mut frame = [0u8; STRIDE];
    // The whole array is written, and read again after the call, so that it is neither left out nor shared.
    let here = std::ptr::from_mut(black_box(&mut frame)).addr();
    if here > end {
        touch(end);
    }
    black_box(&mut frame);
}

/// About where the stack of the calling thread stands.
#[inline(never)]
fn stack_pointer() -> usize {
    let local = 0u8;
    std::ptr::from_ref(black_box(&local)).addr()
}

/// The lowest address of the calling thread's stack; `None` when the system does not say.
#[expect(unsafe_code, reason = "no library of ours gives a thread's stack")]
fn lowest_of_stack() -> Option<usize> {
    let mut lowest = std::ptr::null_mut();
    let mut size = 0;
    // SAFETY: a `pthread_attr_t` is plain memory that `pthread_getattr_np` fills; all pointers are to live, writable
    // values; the attributes are read and destroyed only after they were filled.
    let known = unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) == 0 && {
            let answer = libc::pthread_attr_getstack(&raw const attributes, &raw mut lowest, &raw mut size);
            libc::pthread_attr_destroy(&raw mut attributes);
            answer == 0
        }
    };
    known.then(|| lowest.addr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    use std::thread::Builder;

    /// Locking brings in the stacks of all threads and would spoil the count of faults.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[expect(unsafe_code, reason = "rustix has no RUSAGE_THREAD")]
    fn faults() -> i64 {
        // SAFETY: `rusage` is plain numbers, for which all zeroes is valid, and the pointer is to a live one.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
            usage.ru_minflt + usage.ru_majflt
        }
    }

    #[inline(never)]
    fn use_stack(depth: usize) -> usize {
        let mut frame = [1u8; 16 * 1024];
        black_box(&mut frame);
        let below = if depth > 0 { use_stack(depth - 1) } else { 0 };
        below + usize::from(black_box(&frame)[depth])
    }

    /// Of a size that no other thread of the tests has, or the system hands out a stack that was used already.
    fn with_stack<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        Builder::new().stack_size(5 << 20).spawn(body).unwrap().join().unwrap()
    }

    #[test]
    fn a_prefaulted_stack_meets_no_fault() {
        let _alone = ONE_AT_A_TIME.lock().unwrap();
        with_stack(|| {
            use_stack(0);
            let start = faults();
            assert_eq!(prefault_stack(2 << 20), 2 << 20);
            let touched = faults();
            use_stack(100);
            let used = faults();
            assert!(touched > start, "there was nothing to touch");
            assert_eq!(used - touched, 0, "faults in 1.6 MiB of a stack of which 2 MiB were touched");
        });
    }

    #[test]
    fn more_than_the_stack_is_cut_to_what_is_left() {
        let _alone = ONE_AT_A_TIME.lock().unwrap();
        let touched = with_stack(|| prefault_stack(usize::MAX));
        assert!(touched > 4 << 20 && touched < 5 << 20, "{touched}");
    }

    #[test]
    fn locking_locks_what_is_mapped_now_and_later() {
        let _alone = ONE_AT_A_TIME.lock().unwrap();
        if let Err(refused) = lock_memory() {
            eprintln!("skipped: {refused}");
            return;
        }
        let now = locked_bytes().unwrap();
        assert!(now > 1 << 20, "{now}");
        let later = vec![1u8; 64 << 20];
        let flags = mapping(later.as_ptr().addr(), "VmFlags:");
        assert!(flags.split(' ').any(|flag| flag == "lo"), "what is mapped later is locked too: {flags}");
        drop(black_box(later));
        // Once is enough: a second call does not bring in what was mapped since.
        let mapped = black_box(Vec::<u8>::with_capacity(64 << 20));
        lock_memory().unwrap();
        let resident = kibibytes(&format!("Rss: {}", mapping(mapped.as_ptr().addr(), "Rss:")), "Rss:").unwrap();
        assert!(resident < 32 << 20, "a second call brought everything in again: {resident} bytes");
        drop(mapped);
        rustix::mm::munlockall().unwrap();
        *LOCKED.lock().unwrap() = false;
        assert_eq!(locked_bytes(), Some(0));
    }

    /// What the kernel says under `key` of the mapping at an address. The sums over the process say less: other tests map and
    /// unmap meanwhile.
    fn mapping(address: usize, key: &str) -> String {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let range = |line: &str| {
            let (from, to) = line.split_once(' ')?.0.split_once('-')?;
            Some(number(from)?..number(to)?)
        };
        let mut lines = maps.lines().skip_while(|line| range(line).is_none_or(|range| !range.contains(&address)));
        lines.find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned()
    }

    /// A limit that all that is mapped now fits below: locking would succeed, and later mappings fail.
    #[test]
    fn a_limit_is_a_refusal_although_all_fits_below_it_now() {
        let _alone = ONE_AT_A_TIME.lock().unwrap();
        let limits = getrlimit(Resource::Memlock);
        if setrlimit(Resource::Memlock, Rlimit { current: Some(1 << 40), maximum: Some(1 << 40) }).is_err() {
            eprintln!("skipped: the limit cannot be raised here");
            return;
        }
        let refused = with_stack(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::IPC_LOCK);
            set_capabilities(None, sets).unwrap();
            lock_memory()
        });
        setrlimit(Resource::Memlock, limits).unwrap();
        let refused = refused.unwrap_err();
        assert!(refused.reason.contains("the limit on locked memory is 1099511627776 bytes"), "{refused}");
        assert_eq!(locked_bytes(), Some(0), "nothing is locked");
    }
}
