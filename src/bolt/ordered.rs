//! Jobs done side by side whose results are consumed in order.
//!
//! Workers take jobs in order and compute their parts; whichever worker holds
//! the next part in line joins it (and those behind it that are ready) while the
//! others go on. Only a few parts exist at any time: a worker that runs too far
//! ahead of the joining waits.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};

struct State<P, F> {
    next_job: usize,
    next_join: usize,
    ready: BTreeMap<usize, P>,
    /// Taken by the worker that is joining.
    join: Option<F>,
    /// A worker panicked: its part will never come.
    abandoned: bool,
}

/// Wakes the others if its worker panics: they would wait for it for ever.
struct Watch<'w, P, F> {
    state: &'w Mutex<State<P, F>>,
    advanced: &'w Condvar,
}

impl<P, F> Drop for Watch<'_, P, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).abandoned = true;
            self.advanced.notify_all();
        }
    }
}

/// Runs `map` over `jobs` on `threads` threads and hands the results to `join`,
/// one at a time, in the order of the jobs.
pub fn ordered<J, P, M, F>(jobs: &[J], threads: NonZeroUsize, map: M, mut join: F)
where
    J: Sync,
    P: Send,
    M: Fn(&J) -> P + Sync,
    F: FnMut(P) + Send,
{
    let threads = threads.get().min(jobs.len());
    if threads <= 1 {
        for job in jobs {
            join(map(job));
        }
        return;
    }
    let window = threads.saturating_mul(4);
    let state = Mutex::new(State {
        next_job: 0,
        next_join: 0,
        ready: BTreeMap::new(),
        join: Some(join),
        abandoned: false,
    });
    let advanced = Condvar::new();
    let worker = || {
        let _watch = Watch { state: &state, advanced: &advanced };
        let mut held = state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if held.abandoned || held.next_job >= jobs.len() {
                return;
            }
            if held.next_job >= held.next_join.saturating_add(window) {
                held = advanced.wait(held).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let number = held.next_job;
            held.next_job = number.saturating_add(1);
            drop(held);
            let Some(job) = jobs.get(number) else { return };
            let part = map(job);
            held = state.lock().unwrap_or_else(PoisonError::into_inner);
            held.ready.insert(number, part);
            let Some(mut join) = held.join.take() else { continue };
            loop {
                let next = held.next_join;
                let Some(part) = held.ready.remove(&next) else { break };
                drop(held);
                join(part);
                held = state.lock().unwrap_or_else(PoisonError::into_inner);
                held.next_join = next.saturating_add(1);
                advanced.notify_all();
            }
            held.join = Some(join);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_arrive_in_order_whatever_the_threads_do() {
        let jobs: Vec<usize> = (0..500).collect();
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            ordered(
                &jobs,
                NonZeroUsize::new(threads).expect("threads"),
                |job| {
                    if job % 13 == 0 {
                        std::thread::sleep(std::time::Duration::from_micros(200));
                    }
                    *job
                },
                |part| seen.push(part),
            );
            assert_eq!(seen, jobs);
        }
    }

    #[test]
    fn a_panic_ends_the_work_and_does_not_hang_it() {
        let jobs: Vec<usize> = (0..500).collect();
        let work = || {
            let threads = NonZeroUsize::new(3).expect("threads");
            ordered(&jobs, threads, |job| assert_ne!(*job, 20, "on purpose"), |()| ());
        };
        assert!(std::panic::catch_unwind(work).is_err());
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        ordered(&[], NonZeroUsize::MIN, |_: &u8| 0, |_: u8| panic!("no part"));
    }
}
