//! What one vCPU's register access asks of another's list registers. The asker stores the errand, posts
//! [`crate::inbox::Request::Retract`] and kicks; the kick has a higher physical priority than any guest interrupt, so it is
//! taken before an interrupt that came after the access, and only what the access meant is touched.

use core::sync::atomic::{AtomicU32, Ordering};

use super::bank::bits;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// An active interrupt becomes inactive (ICACTIVER).
    ClearActive,
    /// A pending one is dropped (ICPENDR).
    ClearPending,
    /// A pending one goes back to the physical GIC: it was disabled, or routed elsewhere.
    GiveBack,
}

impl Errand {
    /// In the order in which they are run, so that what was to be dropped does not come back.
    pub(super) const ALL: [Self; 3] = [Self::ClearActive, Self::ClearPending, Self::GiveBack];
}

/// Errands of one kind: a bit for each INTID, and one for each word that is not 0.
#[derive(Debug, Default)]
struct List {
    words: [AtomicU32; 32],
    summary: AtomicU32,
}

/// The errands that one vCPU was asked to run.
#[derive(Debug, Default)]
pub(super) struct Errands {
    lists: [List; 3],
}

impl Errands {
    fn list(&self, errand: Errand) -> Option<&List> {
        self.lists.get(errand as usize)
    }

    /// Asks. The word is there before the summary says so, and both before the inbox does.
    pub(super) fn ask(&self, errand: Errand, word: u32, bits: u32) {
        if let Some(list) = self.list(errand)
            && let Some(place) = list.words.get(word as usize)
        {
            place.fetch_or(bits, Ordering::Relaxed);
            list.summary.fetch_or(1 << (word & 31), Ordering::Release);
        }
    }

    /// Takes all of a kind: words and their bits.
    pub(super) fn take(&self, errand: Errand) -> impl Iterator<Item = (u32, u32)> + '_ {
        let list = self.list(errand);
        let words = list.map_or(0, |list| list.summary.swap(0, Ordering::Acquire));
        bits(words).filter_map(move |n| {
            let word = list?.words.get(n as usize)?.swap(0, Ordering::Relaxed);
            Some((n, word))
        })
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        for errand in Errand::ALL {
            self.take(errand).for_each(drop);
        }
    }
}
