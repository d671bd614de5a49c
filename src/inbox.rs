//! The only state of a CPU that another CPU may write: request bits. Whoever posts must kick.

use crate::cpu::{CpuSet, PcpuId};
use crate::sync::{AtomicU32, Ordering};

/// CPUs that must be sent the kick SGI so that they look into their inboxes.
#[must_use = "a request is seen only after the kick"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kick(pub CpuSet);

impl Kick {
    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self(CpuSet(self.0.0 | other.0.0))
    }
}

/// What is asked of a CPU. Each means "look there": what is to be done stands in the state it names, so a request that
/// comes late or twice does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// At the vCPU's power switch, and for vCPU 0 at the cell's life: something is to start.
    Start = 1 << 0,
    /// At the cell's life: it ends.
    Stop = 1 << 1,
    /// At the virtual SGIs that wait for the vCPU.
    Sgi = 1 << 2,
    /// At the changes that other vCPUs want in its list registers.
    Retract = 1 << 3,
    /// At the lines of the cell's virtual SPIs.
    Line = 1 << 4,
    /// At the vCPU's counters: somebody wants to see them.
    Counts = 1 << 5,
    /// At the clock: EL2's time is being counted.
    Clock = 1 << 6,
    /// At the watchdogs of cells whose own CPUs cannot be called.
    Watch = 1 << 7,
}

/// Requests taken out of an inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests(u32);

impl Requests {
    /// Whether this was asked.
    pub fn has(self, request: Request) -> bool {
        self.0 & request as u32 != 0
    }

    /// Whether this was asked and nothing else.
    pub fn only(self, request: Request) -> bool {
        self.0 == request as u32
    }

    /// Whether anything was asked.
    pub fn any(self) -> bool {
        self.0 != 0
    }
}

/// One CPU's inbox. Ordering: a poster stores what belongs to the request before the `Release` on `requests`;
/// the owner's `Acquire` in [`Inbox::take`] sees it.
#[derive(Debug, Default)]
pub struct Inbox {
    requests: AtomicU32,
}

impl Inbox {
    /// Whether nothing waits; cheap enough for every exit.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    /// Whether this is asked.
    #[inline]
    pub fn asks(&self, request: Request) -> bool {
        self.requests.load(Ordering::Relaxed) & request as u32 != 0
    }

    /// Takes all requests.
    pub fn take(&self) -> Requests {
        Requests(self.requests.swap(0, Ordering::Acquire))
    }

    /// Asks for something. `at` is the CPU whose inbox this is.
    pub fn post(&self, at: PcpuId, request: Request) -> Kick {
        self.requests.fetch_or(request as u32, Ordering::Release);
        Kick(CpuSet::of([at.index()]))
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.requests.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_gather_until_they_are_taken() {
        let inbox = Inbox::default();
        assert!(inbox.is_empty() && !inbox.take().any());
        assert_eq!(inbox.post(PcpuId(3), Request::Sgi), Kick(CpuSet::of([3])));
        assert_eq!(inbox.post(PcpuId(3), Request::Stop), Kick(CpuSet::of([3])));
        assert_eq!(inbox.post(PcpuId(3), Request::Sgi), Kick(CpuSet::of([3])));
        assert!(!inbox.is_empty());
        let taken = inbox.take();
        assert!(taken.any() && taken.has(Request::Sgi) && taken.has(Request::Stop));
        assert!(!taken.has(Request::Start) && !taken.has(Request::Retract));
        assert!(inbox.is_empty());
        let _ = inbox.post(PcpuId(3), Request::Stop);
        inbox.clear();
        assert!(inbox.is_empty());
    }

    #[test]
    fn what_was_stored_before_a_post_is_seen_after_the_take() {
        const LAST: u32 = if cfg!(miri) { 50 } else { 2000 };
        let (inbox, value) = (Inbox::default(), AtomicU32::new(0));
        std::thread::scope(|s| {
            s.spawn(|| {
                for n in 1..=LAST {
                    value.store(n, Ordering::Relaxed);
                    let _ = inbox.post(PcpuId(0), Request::Start);
                }
            });
            let mut last = 0;
            while last < LAST {
                if inbox.take().any() {
                    let now = value.load(Ordering::Relaxed);
                    assert!(now >= last);
                    last = now;
                } else {
                    std::thread::yield_now();
                }
            }
        });
    }
}
