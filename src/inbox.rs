//! The only state of a CPU that another CPU may write: request bits. Whoever posts must kick.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::cpu::{CpuSet, PcpuId};

/// CPUs that must be sent the kick SGI so that they look into their inboxes.
#[must_use = "a request is seen only after the kick"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kick(pub CpuSet);

/// What is asked of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// Its vCPU was started: leave the park loop and read the entry in its power slot.
    Start = 1 << 0,
    /// Give the guest up and park.
    Stop = 1 << 1,
    /// SGIs wait in [`Inbox::take_sgis`].
    Sgi = 1 << 2,
    /// INTIDs wait in [`Inbox::take_retracted`].
    Retract = 1 << 3,
}

/// Requests taken out of an inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests(u32);

impl Requests {
    /// Whether this was asked.
    pub fn has(self, request: Request) -> bool {
        self.0 & request as u32 != 0
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
    sgis: AtomicU32,
    retracted: [AtomicU32; 32],
}

impl Inbox {
    /// Whether something waits; cheap enough for every exit.
    pub fn is_empty(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
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

    /// Asks for virtual SGIs (a bit for each INTID 0 to 15) at this CPU's vCPU. Equal ones merge, as in hardware.
    pub fn post_sgis(&self, at: PcpuId, sgis: u16) -> Kick {
        self.sgis.fetch_or(u32::from(sgis), Ordering::Relaxed);
        self.post(at, Request::Sgi)
    }

    /// Takes the virtual SGIs.
    pub fn take_sgis(&self) -> u16 {
        self.sgis.swap(0, Ordering::Relaxed) as u16
    }

    /// Asks the CPU to take INTIDs `32 * word + bit` out of its list registers, where they are pending there.
    pub fn post_retracted(&self, at: PcpuId, word: usize, bits: u32) -> Kick {
        if let Some(cell) = self.retracted.get(word) {
            cell.fetch_or(bits, Ordering::Relaxed);
        }
        self.post(at, Request::Retract)
    }

    /// Takes one word of the INTIDs to retract.
    pub fn take_retracted(&self, word: usize) -> u32 {
        self.retracted.get(word).map_or(0, |cell| cell.swap(0, Ordering::Relaxed))
    }

    /// Forgets everything: a new life begins.
    pub fn clear(&self) {
        self.requests.store(0, Ordering::Relaxed);
        self.sgis.store(0, Ordering::Relaxed);
        for cell in &self.retracted {
            cell.store(0, Ordering::Relaxed);
        }
    }
}
