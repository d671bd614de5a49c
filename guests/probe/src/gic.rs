//! The registers of distributor and redistributors: what is there, what is not, what stays as written.

use rt::gic::{self, Bits};
use rt::timer::Timer;
use rt::{regs, smp, tree};

use crate::report::{Check, Needs, Outcome, bare, check};
use crate::{ensure, ensure_eq, taken};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    // What a GICv2 has of these is in `gicv2`.
    check("gic_type", Needs::Gicv3, kind),
    check("gic_control", Needs::Gicv3, control),
    check("gic_walk", Needs::Gicv3, walk),
    check("gic_group", Needs::BulkheadGicv3, group),
    check("gic_foreign", Needs::Bulkhead, foreign),
    check("gic_enable", Needs::Nothing, enable),
    check("gic_priority", Needs::Nothing, priority),
    check("gic_config", Needs::Nothing, config),
    check("gic_route", Needs::Nothing, route),
    check("gic_reserved", Needs::Gicv3, reserved),
];

const PIDR2: u64 = 0xffe8;
const IGROUPR: u64 = 0x080;
const ISENABLER: u64 = 0x100;
const ICENABLER: u64 = 0x180;
const ISPENDR: u64 = 0x200;
const ISACTIVER: u64 = 0x300;
const IPRIORITYR: u64 = 0x400;
const ICFGR: u64 = 0xc00;

/// The cell's SPIs among INTIDs `32 * word` to `32 * word + 31`.
fn own(word: u32) -> u32 {
    tree::board().spis.iter().filter(|s| s.intid / 32 == word).fold(0, |bits, s| bits | 1 << (s.intid % 32))
}

/// The private interrupts that every cell has: the SGIs and its two timers. The other PPIs may be the hypervisor's.
fn private() -> u32 {
    0xffff | 1 << Timer::Virtual.intid() | 1 << Timer::Physical.intid()
}

fn words() -> core::ops::Range<u32> {
    1..(gic::distributor_type() & 0x1f) + 1
}

fn kind() -> Outcome {
    let kind = gic::distributor_type();
    ensure!(bare() || kind >> 17 & 1 == 0, "GICD_TYPER {kind:#x} shows LPIs");
    ensure_eq!(kind >> 16 & 1, 0, "GICD_TYPER {kind:#x}: MBIS");
    for spi in &tree::board().spis {
        ensure!(words().contains(&(spi.intid / 32)), "GICD_TYPER {kind:#x} ends before INTID {}", spi.intid);
    }
    let revision = gic::distributor().read(PIDR2) >> 4 & 0xf;
    ensure!(matches!(revision, 3 | 4), "GICD_PIDR2.ArchRev is {revision}");
    Ok(())
}

fn control() -> Outcome {
    for on in [false, true] {
        gic::enable_group1(on);
        let control = gic::control();
        ensure_eq!(control >> 4 & 1, 1, "GICD_CTLR {control:#x}: ARE");
        ensure_eq!(control >> 6 & 1, 1, "GICD_CTLR {control:#x}: DS");
        ensure_eq!(control >> 1 & 1, u32::from(on), "GICD_CTLR {control:#x}: EnableGrp1");
    }
    Ok(())
}

fn walk() -> Outcome {
    let cpus = &tree::board().cpus;
    for (n, frame) in gic::redistributors().enumerate() {
        let kind = gic::redistributor_type(frame);
        let Some(affinity) = cpus.get(n) else { break };
        ensure_eq!(kind >> 32, affinity & 0xff_ffff | (affinity >> 32) << 24, "frame {n}: affinity");
        ensure_eq!(kind >> 8 & 0xffff, n as u64, "frame {n}: Processor_Number");
        ensure!(bare() || kind & 1 == 0, "frame {n} shows LPIs");
        ensure_eq!(kind >> 4 & 1, u64::from(n + 1 == cpus.len()), "frame {n}: Last");
    }
    ensure_eq!(gic::redistributors().count(), cpus.len(), "redistributors");
    Ok(())
}

fn group() -> Outcome {
    let block = gic::sgi_base(regs::cpu_index());
    block.write(IGROUPR, 0);
    ensure_eq!(block.read(IGROUPR) & private(), private(), "GICR_IGROUPR0 after a write of 0");
    for word in words() {
        let at = IGROUPR + 4 * u64::from(word);
        gic::distributor().write(at, 0);
        ensure_eq!(
            gic::distributor().read(at) & own(word),
            own(word),
            "GICD_IGROUPR{word} after a write of 0"
        );
    }
    Ok(())
}

fn foreign() -> Outcome {
    let block = gic::distributor();
    for word in words() {
        let foreign = !own(word);
        let at = 4 * u64::from(word);
        for (name, register) in [("ISENABLER", ISENABLER), ("ISPENDR", ISPENDR), ("ISACTIVER", ISACTIVER)] {
            block.write(register + at, foreign);
            ensure_eq!(block.read(register + at) & foreign, 0, "foreign bits of GICD_{name}{word}");
        }
        for intid in (32 * word..32 * word + 32).filter(|i| foreign >> (i % 32) & 1 == 1 && *i < 1020) {
            gic::set_priority(intid, 0xa8);
            ensure_eq!(gic::priority(intid), 0, "GICD_IPRIORITYR of foreign {intid}");
            let config = ICFGR + u64::from(intid / 16) * 4;
            block.write(config, block.read(config) | 2 << (intid % 16 * 2));
            ensure!(!gic::is_edge(intid), "GICD_ICFGR of foreign {intid} took a write");
            gic::set_route(intid, smp::affinity(smp::count() - 1) | 1 << 31);
            ensure_eq!(gic::route(intid), 0, "GICD_IROUTER of foreign {intid}");
        }
    }
    ensure!(taken::silent(), "a foreign interrupt arrived: {}", gic::acknowledge());
    Ok(())
}

fn enable() -> Outcome {
    // SGIs of a GIC-400 are always enabled.
    let sgis = if gic::is_v2() { 0..0 } else { 0..16 };
    for intid in sgis.clone().chain(tree::board().spis.iter().map(|s| s.intid)) {
        gic::disable(intid);
        ensure!(!gic::get(Bits::SetEnable, intid), "{intid} stays enabled");
        gic::enable(intid);
        ensure!(
            gic::get(Bits::SetEnable, intid) && gic::get(Bits::ClearEnable, intid),
            "{intid} stays disabled"
        );
        gic::disable(intid);
    }
    if sgis.is_empty() {
        return Ok(());
    }
    let block = gic::sgi_base(regs::cpu_index());
    block.write(ISENABLER, 0xffff);
    ensure_eq!(block.read(ISENABLER) & 0xffff, 0xffff, "GICR_ISENABLER0");
    block.write(ICENABLER, 0xf0f0);
    ensure_eq!(block.read(ISENABLER) & 0xffff, 0x0f0f, "GICR_ISENABLER0 after clearing half");
    Ok(())
}

fn priority() -> Outcome {
    let private = (0..32).filter(|intid| private() >> intid & 1 == 1);
    for intid in private.chain(tree::board().spis.iter().map(|s| s.intid)) {
        // 16 levels are what every GIC has (IHI 0069H 4.8).
        for priority in [0x10, 0x80, 0xa0, 0xf0] {
            gic::set_priority(intid, priority);
            ensure_eq!(gic::priority(intid), priority, "priority of {intid}");
        }
        gic::set_priority(intid, gic::PRIORITY);
    }
    let block = gic::sgi_base(regs::cpu_index());
    block.write(IPRIORITYR, 0xf0c0_a080);
    ensure_eq!(block.read(IPRIORITYR), 0xf0c0_a080, "GICR_IPRIORITYR0 as a word");
    ensure_eq!(gic::priority(2), 0xc0, "its third byte");
    Ok(())
}

fn config() -> Outcome {
    for spi in &tree::board().spis {
        for edge in [true, false, !spi.level] {
            gic::set_edge(spi.intid, edge);
            ensure_eq!(gic::is_edge(spi.intid), edge, "GICD_ICFGR of {}", spi.intid);
        }
    }
    ensure_eq!(gic::sgi_base(regs::cpu_index()).read(ICFGR), 0xaaaa_aaaa, "ICFGR of the SGIs");
    Ok(())
}

fn route() -> Outcome {
    for spi in &tree::board().spis {
        for affinity in tree::board().cpus.iter().rev() {
            gic::set_route(spi.intid, *affinity);
            ensure_eq!(gic::route(spi.intid) & !(1 << 31), *affinity, "GICD_IROUTER of {}", spi.intid);
        }
    }
    Ok(())
}

fn reserved() -> Outcome {
    // Reserved offsets read as zero and take writes without effect (IHI 0069H 12.9.1).
    for at in [0x0030, 0x1000, 0x5ff8, 0x8000, 0xbffc] {
        gic::distributor().write(at, !0);
        ensure_eq!(gic::distributor().read(at), 0, "GICD + {at:#x}");
    }
    Ok(())
}
