//! Into the guest and back.

use core::arch::{asm, global_asm};

use aarch64_cpu::registers::{ELR_EL2, ESR_EL2, FAR_EL2, HPFAR_EL2, Readable, SPSR_EL2, Writeable};
use bulkhead::cell::System;
use bulkhead::cpu::PcpuId;
use bulkhead::ports::{Exit, Hot, World};
use bulkhead::run;
use bulkhead::vcpu::Frame;

use crate::cpu::Cpu;
use crate::{errata, stop};

global_asm!(include_str!("vectors.S"));

unsafe extern "C" {
    static bulkhead_vectors: u8;
    /// Lets physical SErrors come that wait at this CPU, and forgets them.
    fn bulkhead_drain_serror();
}

/// The address for VBAR_EL2.
pub fn vectors() -> u64 {
    (&raw const bulkhead_vectors).addr() as u64
}

/// Forgets the SErrors that wait at this CPU. Only where the guest's TPIDR_EL0 and TPIDRRO_EL0 may be lost.
pub fn drain_serror() {
    // SAFETY: keeps to the C calling convention; the vector of an SError meanwhile comes back, and changes these two registers alone.
    unsafe { bulkhead_drain_serror() }
}

/// A CPU's loop, from the end of boot on. It has a section of its own because LLVM's outliner, which shortens the image by
/// calls of what functions have in common, leaves such functions whole.
// SAFETY: the link script puts it with the rest of the text.
#[unsafe(link_section = ".text.loop")]
#[inline(never)]
pub fn run<K>(system: &System, me: PcpuId, machine: &mut Cpu<K>) -> !
where
    Cpu<K>: Hot,
{
    run::cpu(system, me, machine)
}

impl<K> World for Cpu<K> {
    #[inline(always)]
    fn enter(&mut self, frame: &mut Frame) -> Exit {
        let kind: u64;
        // SAFETY: the assembly keeps x19, x29, x30 and SP and says of every other register that it is lost, so that the
        // compiler keeps nothing there. It reads and writes the frame, to which we have the only reference, and nothing
        // else of EL2's memory. What the guest does meanwhile stays in its own memory: stage 2 maps nothing of EL2's.
        unsafe {
            asm!(
                "bl bulkhead_enter",
                inout("x0") core::ptr::from_mut(frame) => kind,
                out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
                out("x25") _, out("x26") _, out("x27") _, out("x28") _,
                clobber_abi("C"),
            );
        }
        match kind {
            0 => Exit::Sync,
            1 => Exit::Irq,
            2 => Exit::Fiq,
            _ => Exit::SError,
        }
    }

    #[inline(always)]
    fn pc(&self) -> u64 {
        ELR_EL2.get()
    }

    #[inline(always)]
    fn set_pc(&mut self, pc: u64) {
        ELR_EL2.set(pc);
    }

    #[inline(always)]
    fn pstate(&self) -> u64 {
        SPSR_EL2.get()
    }

    #[inline(always)]
    fn set_pstate(&mut self, pstate: u64) {
        SPSR_EL2.set(pstate);
    }

    #[inline(always)]
    fn esr(&self) -> u64 {
        ESR_EL2.get()
    }

    #[inline(always)]
    fn far(&self) -> u64 {
        FAR_EL2.get()
    }

    #[inline(always)]
    fn hpfar(&self) -> u64 {
        HPFAR_EL2.get()
    }

    #[inline(always)]
    fn halt_if_stopped(&self) {
        stop::halt_if_stopped();
    }

    fn is_false_report(&self) -> bool {
        errata::is_false_report()
    }
}
