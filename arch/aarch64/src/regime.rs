//! Whose translation regime EL2 runs in: EL2's own, or EL2&0 with FEAT_VHE (HCR_EL2.E2H; TGE stays 0, there are always guests).
//!
//! With E2H the names of EL1's registers mean EL2's, and the guest's have other names (`sysreg`); CPTR_EL2 and CNTHCTL_EL2 have other
//! layouts (`el2`), and so have TCR_EL2 and EL2's descriptors (`bulkhead::paging`). Nothing else of Bulkhead knows.

use aarch64_cpu::asm::barrier::{SY, dsb};
use aarch64_cpu::registers::{HCR_EL2, Readable};
use bulkhead::config::{HasVhe, Vhe, VheError};

use crate::el2::{self, Features};
use crate::mmu::Space;
use crate::sysreg::{ID_AA64MMFR1_EL1, ID_AA64MMFR4_EL1};
use crate::{entry, mmu};

/// HCR_EL2.E2H.
pub const E2H: u64 = 1 << 34;

/// What this CPU has; asked while E2H was last written as 0, or cannot be.
pub fn of_cpu() -> HasVhe {
    HasVhe::of_cpu(ID_AA64MMFR1_EL1::get(), ID_AA64MMFR4_EL1::get(), HCR_EL2.get())
}

/// Whether EL2 runs with VHE now.
pub fn is_e2h() -> bool {
    HCR_EL2.get() & E2H != 0
}

/// Brings the boot CPU, the only one that runs, into the regime that the description asks for, and says so.
///
/// # Errors
/// The CPU cannot do that.
pub fn choose(vhe: Vhe, space: &mut Space) -> Result<Features, VheError> {
    let wanted = vhe.regime(of_cpu())?;
    if wanted != space.geometry().regime() {
        space.move_to(wanted);
        dsb(SY);
        // SAFETY: the tables map what they did before. The image's text has not been written since the loader, which left it in memory
        // (Linux's booting.rst), so it may be fetched past the caches. No guest has been loaded.
        unsafe { entry::reload_mmu(&mmu::registers(space)) };
        el2::init(&Features::read());
    }
    if is_e2h() {
        log::info!("EL2 runs with VHE");
    }
    Ok(Features::read())
}
