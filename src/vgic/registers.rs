//! The registers that a cell finds in its GIC, a row each, and the way from an access to its row.
//!
//! What has no row reads as zero and ignores writes, and so does an access of a width that the register does not have
//! (IHI 0069H 12.1.3 leaves both open). Rows that read as zero and ignore writes are written out where a reader would miss them.

use super::cell::SGIS;
use super::offsets::{
    GICD_CLRSPI_NSR, GICD_CTLR, GICD_IIDR, GICD_IROUTER, GICD_SETSPI_NSR, GICD_SGIR, GICD_TYPER, GICR_CTLR,
    GICR_IIDR, GICR_TYPER, GICR_WAKER, ICACTIVER, ICENABLER, ICFGR, ICPENDR, ICPIDR2, IGROUPR, IPRIORITYR,
    ISACTIVER, ISENABLER, ISPENDR, ITARGETSR, PIDR2, SGI_BASE,
};
use super::state::Scope;
use super::{CellGic, GicCtx, GicPorts, identity, kick, sender, spi, state, targets, word};
use crate::cpu::VcpuId;
use crate::inbox::Kick;
use crate::ports::{GicVersion, Width};

/// What a register reads as.
#[derive(Clone, Copy)]
pub(super) enum Get {
    Zero,
    DistributorControl,
    DistributorType,
    RedistributorControl,
    RedistributorType,
    Implementer,
    Peripheral2,
    Waker,
    Group,
    Enabled,
    Pending,
    Active,
    Priority,
    Config,
    Route,
    Targets,
    Senders,
}

/// What a write to it does.
#[derive(Clone, Copy)]
pub(super) enum Put {
    Nothing,
    DistributorControl,
    Waker,
    RaiseSpi,
    LowerSpi,
    Enable,
    Disable,
    SetPending,
    ClearPending,
    SetActive,
    ClearActive,
    Priority,
    Config,
    Route,
    Targets,
    Sgi,
}

/// A register, or an array of them. Eight bytes, so that a row is found by a shift.
#[derive(Clone, Copy)]
struct Reg {
    /// Its offset in words.
    word: u16,
    bytes: u16,
    widths: u8,
    get: Get,
    put: Put,
}

const _: () = assert!(size_of::<Reg>() == 8);

const fn reg(at: u32, bytes: u16, widths: u8, get: Get, put: Put) -> Reg {
    assert!(at.is_multiple_of(4) && at / 4 <= u16::MAX as u32);
    Reg { word: (at / 4) as u16, bytes, widths, get, put }
}

impl Reg {
    /// Its offset.
    #[inline(always)]
    const fn at(&self) -> u32 {
        (self.word as u32) << 2
    }
}

const WORD: u8 = 1 << Width::Word as u8;
const SHORT: u8 = WORD | 1 << Width::Half as u8;
const BYTES: u8 = WORD | 1 << Width::Byte as u8;
const LONG: u8 = WORD | 1 << Width::Double as u8;

/// The arrays that every GIC has, as long as for all INTIDs.
#[rustfmt::skip]
const ARRAYS: [Reg; 8] = [
    reg(ISENABLER,        0x80, WORD,  Get::Enabled,            Put::Enable),
    reg(ICENABLER,        0x80, WORD,  Get::Enabled,            Put::Disable),
    reg(ISPENDR,          0x80, WORD,  Get::Pending,            Put::SetPending),
    reg(ICPENDR,          0x80, WORD,  Get::Pending,            Put::ClearPending),
    reg(ISACTIVER,        0x80, WORD,  Get::Active,             Put::SetActive),
    reg(ICACTIVER,        0x80, WORD,  Get::Active,             Put::ClearActive),
    reg(IPRIORITYR,      0x400, BYTES, Get::Priority,           Put::Priority),
    reg(ICFGR,           0x100, WORD,  Get::Config,             Put::Config),
];

#[rustfmt::skip]
static DISTRIBUTOR: File<512> = File::new(ARRAYS, 0, &[
    reg(GICD_CTLR,           4, WORD,  Get::DistributorControl, Put::DistributorControl),
    reg(GICD_TYPER,          4, WORD,  Get::DistributorType,    Put::Nothing),
    reg(GICD_IIDR,           4, WORD,  Get::Implementer,        Put::Nothing),
    reg(GICD_SETSPI_NSR,     4, SHORT, Get::Zero,               Put::RaiseSpi),
    reg(GICD_CLRSPI_NSR,     4, SHORT, Get::Zero,               Put::LowerSpi),
    reg(IGROUPR,          0x80, WORD,  Get::Group,              Put::Nothing),
    // ITARGETSR (0x800), SGIR (0xf00), CPENDSGIR and SPENDSGIR (0xf10 to 0xf2c) have no meaning with affinity
    // routing, IGRPMODR (0xd00) and NSACR (0xe00) none with DS=1.
    reg(GICD_IROUTER,   0x1fe0, LONG,  Get::Route,              Put::Route),
    reg(PIDR2,               4, WORD,  Get::Peripheral2,        Put::Nothing),
]);

#[rustfmt::skip]
static REDISTRIBUTOR: File<1024> = File::new(first_32nd(ARRAYS), SGI_BASE, &[
    reg(GICR_CTLR,           4, WORD,  Get::RedistributorControl, Put::Nothing),
    reg(GICR_IIDR,           4, WORD,  Get::Implementer,          Put::Nothing),
    reg(GICR_TYPER,          8, LONG,  Get::RedistributorType,    Put::Nothing),
    reg(GICR_WAKER,          4, WORD,  Get::Waker,                Put::Waker),
    // PROPBASER (0x70) and PENDBASER (0x78) have no meaning without LPIs.
    reg(PIDR2,               4, WORD,  Get::Peripheral2,          Put::Nothing),
    reg(SGI_BASE + IGROUPR,  4, WORD,  Get::Group,                Put::Nothing),
    // IGRPMODR0 (0xd00) and NSACR (0xe00) have no meaning with DS=1.
]);

/// Bytes that have one place.
const BLOCK: u32 = 0x80;

/// That of a GICv2, whose first words, of SGIs and PPIs, are those of the CPU that asks.
#[rustfmt::skip]
static DISTRIBUTOR_V2: File<64> = File::new(ARRAYS, 0, &[
    reg(GICD_CTLR,           4, WORD,  Get::DistributorControl, Put::DistributorControl),
    reg(GICD_TYPER,          4, WORD,  Get::DistributorType,    Put::Nothing),
    reg(GICD_IIDR,           4, WORD,  Get::Implementer,        Put::Nothing),
    // IGROUPR (0x80) has no meaning without Security Extensions that a guest could see.
    reg(IGROUPR,          0x80, WORD,  Get::Zero,               Put::Nothing),
    reg(ITARGETSR,       0x400, BYTES, Get::Targets,            Put::Targets),
    // NSACR (0xe00) has no meaning either. SGIR, and CPENDSGIR and SPENDSGIR (0xf10, 0xf20):
    reg(GICD_SGIR,        0x30, BYTES, Get::Senders,            Put::Sgi),
    reg(ICPIDR2,             4, WORD,  Get::Peripheral2,        Put::Nothing),
]);

/// These arrays as far as they concern INTIDs 0 to 31.
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
const fn first_32nd(mut arrays: [Reg; ARRAYS.len()]) -> [Reg; ARRAYS.len()] {
    let mut row = 0;
    while row < arrays.len() {
        arrays[row].bytes /= 32;
        row += 1;
    }
    arrays
}

/// Most rows of a file, and one behind them that stands for "no register".
const ROWS: usize = 32;

/// Rows, and where to find each: a place for each 128 bytes, and for each word of the first 128. No search: an emulated
/// register must not cost what a search costs.
struct File<const PLACES: usize> {
    rows: [Reg; ROWS],
    words: [u8; BLOCK as usize / 4],
    blocks: [u8; PLACES],
}

impl<const PLACES: usize> File<PLACES> {
    #[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
    const fn new(arrays: [Reg; ARRAYS.len()], arrays_at: u32, others: &[Reg]) -> Self {
        let mut words = [ROWS as u8 - 1; BLOCK as usize / 4];
        let mut blocks = [ROWS as u8 - 1; PLACES];
        let mut rows = [reg(0, 0, 0, Get::Zero, Put::Nothing); ROWS];
        assert!(arrays.len() + others.len() < ROWS);
        let mut row = 0;
        while row < arrays.len() + others.len() {
            rows[row] = if row < arrays.len() {
                let array = arrays[row];
                reg(arrays_at + array.at(), array.bytes, array.widths, array.get, array.put)
            } else {
                others[row - arrays.len()]
            };
            let mut at = rows[row].at();
            while at < rows[row].at() + rows[row].bytes as u32 {
                let place = match at / BLOCK {
                    0 => &mut words[at as usize / 4],
                    block => &mut blocks[block as usize],
                };
                assert!(*place == ROWS as u8 - 1 || *place == row as u8, "two rows share 128 bytes");
                *place = row as u8;
                at += 4;
            }
            row += 1;
        }
        Self { rows, words, blocks }
    }

    /// The row of an access, and how far from its start the access is.
    #[inline(always)]
    fn find(&self, offset: u32, width: Width) -> Option<(&Reg, u32)> {
        let place = match offset / BLOCK {
            0 => self.words.get(offset as usize / 4)?,
            block => self.blocks.get(block as usize)?,
        };
        let row = self.rows.get(usize::from(*place) % ROWS)?;
        let rel = offset.wrapping_sub(row.at());
        (rel < u32::from(row.bytes) && row.widths >> width as u8 & 1 != 0).then_some((row, rel))
    }
}

/// An access of a guest to its distributor, `offset` bytes from its start and aligned: a write, or a read, whose value
/// comes back. What is done often needs few parts of the context, in registers; `rest` puts all of them into memory.
#[inline(always)]
pub fn gicd_access<'c, M: GicPorts>(
    machine: &'c mut M,
    cell: &'c CellGic,
    rest: impl FnOnce(&'c mut M::Plain) -> GicCtx<'c, M::Plain>,
    offset: u64,
    width: Width,
    write: Option<u64>,
) -> u64 {
    if machine.version() == GicVersion::V2 {
        return banked_access(&mut rest(machine.plain()), offset, width, write);
    }
    let offset = offset as u32 & 0xffff;
    let Some((row, rel)) = DISTRIBUTOR.find(offset, width) else { return 0 };
    access(machine, cell, rest, row, At { frame: None, rel, width }, write)
}

/// An access to the distributor of a GICv2. Of each array, the first 32nd concerns the INTIDs of the vCPU that asks.
#[inline(never)]
fn banked_access<M: GicPorts>(ctx: &mut GicCtx<'_, M>, offset: u64, width: Width, write: Option<u64>) -> u64 {
    let Some((row, rel)) = DISTRIBUTOR_V2.find(offset as u32 & 0xffff, width) else { return 0 };
    let frame = (rel < u32::from(row.bytes) / 32).then_some(ctx.me);
    let at = At { frame, rel, width };
    let Some(value) = write else { return read(ctx, row.get, at) };
    self::write(ctx, row.put, at, value);
    0
}

/// The same for the cell's redistributors, which lie side by side, 128 KiB for each vCPU.
#[inline(always)]
pub fn gicr_access<'c, M: GicPorts>(
    machine: &'c mut M,
    cell: &'c CellGic,
    rest: impl FnOnce(&'c mut M::Plain) -> GicCtx<'c, M::Plain>,
    offset: u64,
    width: Width,
    write: Option<u64>,
) -> u64 {
    let (frame, offset) = (VcpuId((offset >> 17) as u8), offset as u32 & 0x1_ffff);
    let Some((row, rel)) = REDISTRIBUTOR.find(offset, width) else { return 0 };
    access(machine, cell, rest, row, At { frame: Some(frame), rel, width }, write)
}

#[inline(always)]
fn access<'c, M: GicPorts>(
    machine: &'c mut M,
    cell: &'c CellGic,
    rest: impl FnOnce(&'c mut M::Plain) -> GicCtx<'c, M::Plain>,
    row: &Reg,
    at: At,
    write: Option<u64>,
) -> u64 {
    match (write, row.get, row.put) {
        (None, Get::Enabled, _) if let Some(id) = at.frame => {
            cell.vcpu(id).map_or(0, |vcpu| u64::from(state::private_enabled(machine, cell, vcpu)))
        }
        (None, Get::DistributorType, _) if at.frame.is_none() => u64::from(cell.typer),
        (None, get, _) => read(&mut rest(machine.plain()), get, at),
        (Some(value), _, Put::Enable)
            if at.frame.is_none() && value as u32 & cell.spis_of(at.rel / 4) == 0 =>
        {
            0
        }
        (Some(value), _, put) => {
            self::write(&mut rest(machine.plain()), put, at, value);
            0
        }
    }
}

/// Where in a row an access lies.
#[derive(Clone, Copy)]
pub(super) struct At {
    /// The redistributor; `None` is the distributor.
    pub(super) frame: Option<VcpuId>,
    /// Bytes from the row's start.
    pub(super) rel: u32,
    /// How wide.
    pub(super) width: Width,
}

#[inline(never)]
fn read<M: GicPorts>(ctx: &mut GicCtx<'_, M>, what: Get, at: At) -> u64 {
    match what {
        Get::Zero => 0,
        Get::DistributorControl => identity::distributor_control(ctx),
        Get::DistributorType => u64::from(ctx.cell.typer),
        Get::RedistributorControl => identity::redistributor_control(ctx, at),
        Get::RedistributorType => identity::redistributor_type(ctx, at),
        Get::Implementer => identity::IIDR,
        Get::Peripheral2 if ctx.machine.version() == GicVersion::V2 => identity::PIDR2_GICV2,
        Get::Peripheral2 => identity::PIDR2_GICV3,
        Get::Waker => identity::waker(ctx, at),
        Get::Group => with_scope(ctx, what, at, |_, scope| scope.owned()),
        Get::Enabled => with_scope(ctx, what, at, state::enabled),
        Get::Pending => with_scope(ctx, what, at, state::pending),
        Get::Active => with_scope(ctx, what, at, state::active),
        Get::Priority => word::priority(ctx, at),
        Get::Config => word::config(ctx, at),
        Get::Route => word::route(ctx, at),
        Get::Targets if ctx.machine.version() == GicVersion::V2 => targets::read(ctx, at),
        Get::Senders if ctx.machine.version() == GicVersion::V2 => sender::read(ctx, at),
        // Of a GICv2's alone.
        Get::Targets | Get::Senders => 0,
    }
}

#[inline(always)]
fn with_scope<M: GicPorts>(
    ctx: &mut GicCtx<'_, M>,
    what: Get,
    at: At,
    read: impl FnOnce(&mut GicCtx<'_, M>, Scope) -> u32,
) -> u64 {
    let Some(scope) = Scope::of(ctx.cell, at.frame, at.rel / 4) else { return 0 };
    let bits = read(ctx, scope);
    u64::from(if scope.spi == 0 { bits } else { bits | spi::get(ctx, what, scope) })
}

#[inline(never)]
fn write<M: GicPorts>(ctx: &mut GicCtx<'_, M>, what: Put, at: At, value: u64) {
    let kicked = write_row(ctx, what, at, value);
    if let Some(other) = at.frame.filter(|id| *id != ctx.me).and_then(|id| ctx.cell.vcpu(id)) {
        other.touch();
    }
    kick(ctx.machine, kicked, ctx.shared);
}

#[inline(always)]
fn write_row<M: GicPorts>(ctx: &mut GicCtx<'_, M>, what: Put, at: At, value: u64) -> Kick {
    let write = match what {
        Put::Nothing => return Kick::default(),
        Put::DistributorControl => return identity::set_distributor_control(ctx, value),
        Put::Waker => return identity::set_waker(ctx, at, value),
        Put::Priority => return word::set_priority(ctx, at, value),
        Put::Config => return word::set_config(ctx, at, value),
        Put::Route => return word::set_route(ctx, at, value),
        Put::Targets if ctx.machine.version() == GicVersion::V2 => return targets::write(ctx, at, value),
        Put::Sgi if ctx.machine.version() == GicVersion::V2 => return sender::write(ctx, at, value),
        // Of a GICv2's alone.
        Put::Targets | Put::Sgi => return Kick::default(),
        Put::RaiseSpi => return state::message(ctx, what, value, state::set_pending),
        Put::LowerSpi => return state::message(ctx, what, value, state::clear_pending),
        Put::Enable => state::enable,
        Put::Disable => state::disable,
        Put::SetPending => state::set_pending,
        Put::ClearPending => state::clear_pending,
        Put::SetActive => state::set_active,
        Put::ClearActive => state::clear_active,
    };
    let Some(scope) = Scope::of(ctx.cell, at.frame, at.rel / 4) else { return Kick::default() };
    let mut bits = value as u32 & scope.owned();
    if ctx.machine.version() == GicVersion::V2
        && at.frame.is_some()
        && matches!(what, Put::SetPending | Put::ClearPending)
    {
        // SGIs there are pending by their senders (IHI 0048B 4.3.7).
        bits &= !SGIS;
    }
    let kick = if bits == 0 { Kick::default() } else { write(ctx, scope, bits) };
    let chosen = value as u32 & scope.spi;
    if chosen == 0 { kick } else { kick.and(spi::put(ctx, what, scope.word, chosen)) }
}
