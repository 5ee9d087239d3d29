//! Independent work over a list, side by side when there is enough of it.

use std::num::NonZeroUsize;
use std::thread;

/// Applies `work` to every item; the results stand in the order of the items. Each item has a `weight`, and a thread is
/// worth its start for `enough` of it: below that everything runs here.
pub(super) fn map<'a, T: Sync, R: Send>(
    items: &'a [T],
    enough: usize,
    weight: impl Fn(&T) -> usize,
    work: impl Fn(&'a T) -> R + Sync,
) -> Vec<R> {
    let total: usize = items.iter().map(&weight).sum();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = (total / enough.max(1)).clamp(1, cores);
    let chunks = items.chunks(items.len().div_ceil(threads).max(1));
    let run = |chunk: &'a [T]| chunk.iter().map(&work).collect::<Vec<R>>();
    if threads == 1 {
        return chunks.flat_map(run).collect();
    }
    let run = &run;
    thread::scope(|scope| {
        let running: Vec<_> = chunks.map(|chunk| scope.spawn(move || run(chunk))).collect();
        let joined =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_stand_in_order_however_many_threads_there_are() {
        let items: Vec<usize> = (0..1000).collect();
        for enough in [1, 300, usize::MAX] {
            assert_eq!(super::map(&items, enough, |_| 1, |item| item * 2), (0..2000).step_by(2).collect::<Vec<_>>());
        }
        assert_eq!(super::map(&[], 1, |_: &u8| 1, |item| *item), Vec::<u8>::new());
    }
}
