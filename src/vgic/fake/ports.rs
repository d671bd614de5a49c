//! The ports of a [`FakeCpu`].

use super::{FakeCpu, FakeGic};
use crate::cpu::{PcpuId, SgiTarget};
use crate::intid::Sgi;
use crate::ports::{
    CommonReg, CpuInterface, Gic, GicRegisters, GicVersion, LentInterface, VirtualInterface, Width,
};
use crate::vgic::lr::{Lr, State};

impl Gic for FakeCpu {
    type Plain = Self;
    fn version(&self) -> GicVersion {
        GicVersion::V3
    }
    fn plain(&mut self) -> &mut Self {
        self
    }
}

impl CpuInterface for FakeCpu {
    fn acknowledge(&mut self) -> u32 {
        let mut hw = self.hw();
        let Some(intid) = hw.highest(self.me) else { return 1023 };
        let irq = hw.irq(self.me, intid).unwrap();
        (irq.latch, irq.active) = (false, true);
        let priority = irq.priority;
        hw.cpus[self.me].running.push(priority);
        intid
    }

    fn running_priority(&self) -> u8 {
        self.hw().cpus[self.me].running.last().copied().unwrap_or(0xff)
    }

    fn drop_priority(&mut self, _intid: u32) {
        let dropped = self.hw().cpus[self.me].running.pop();
        assert!(dropped.is_some(), "priority dropped that was not running");
    }

    fn deactivate(&mut self, intid: u32) {
        let me = self.me;
        if let Some(irq) = self.hw().irq(me, intid) {
            irq.active = false;
        }
    }

    fn send_sgi(&mut self, sgi: Sgi, to: SgiTarget) {
        let mut hw = self.hw();
        let target = hw.cpus.iter_mut().find(|cpu| SgiTarget::new(cpu.affinity) == to).unwrap();
        target.private[sgi.intid() as usize].latch = true;
    }

    fn send_event(&self) {}
}

impl LentInterface for FakeCpu {
    fn lend(&mut self) {
        let me = self.me;
        let part = &mut self.hw().cpus[me];
        assert!(part.running.is_empty(), "an interrupt is active");
        part.lent = Some([0; 3]);
    }

    fn take_back(&mut self) {
        let me = self.me;
        let part = &mut self.hw().cpus[me];
        (part.lent, part.running) = (None, vec![]);
    }

    fn common(&self, reg: CommonReg) -> u64 {
        self.hw().cpus[self.me].lent.expect("not lent")[reg as usize]
    }

    fn set_common(&mut self, reg: CommonReg, value: u64) {
        let me = self.me;
        self.hw().cpus[me].lent.as_mut().expect("not lent")[reg as usize] = value;
    }

    fn wait_for_guest(&mut self) {}
}

impl VirtualInterface for FakeCpu {
    fn lr_count(&self) -> usize {
        self.hw().cpus[self.me].lrs.len()
    }

    fn empty_lrs(&self) -> u32 {
        let hw = self.hw();
        let empty = |lr: &u64| {
            let lr = Lr::from(*lr);
            lr.state() == State::Invalid && !lr.reports()
        };
        (0..).zip(&hw.cpus[self.me].lrs).filter(|(_, lr)| empty(lr)).fold(0, |set, (n, _)| set | 1 << n)
    }

    fn lr(&self, n: usize) -> u64 {
        self.hw().cpus[self.me].lrs[n]
    }

    fn set_lr(&mut self, n: usize, value: u64) {
        let me = self.me;
        let mut hw = self.hw();
        hw.cpus[me].lrs[n] = value;
        hw.check_lrs(me);
    }

    fn ich_hcr(&self) -> u32 {
        self.hw().cpus[self.me].hcr
    }

    fn set_ich_hcr(&mut self, value: u32) {
        let me = self.me;
        self.hw().cpus[me].hcr = value;
    }

    fn ich_vmcr(&self) -> u32 {
        self.hw().cpus[self.me].vmcr
    }

    fn set_ich_vmcr(&mut self, value: u32) {
        let me = self.me;
        self.hw().cpus[me].vmcr = value;
    }

    fn reset_virtual_interface(&mut self) {
        let me = self.me;
        let part = &mut self.hw().cpus[me];
        part.lrs.fill(0);
        part.vrunning.clear();
    }
}

impl FakeGic {
    /// A register of the distributor (`cpu` is `None`) or of a redistributor's SGI_base frame.
    pub(super) fn read(&mut self, cpu: Option<usize>, offset: u32, width: Width) -> u64 {
        let (first, secure) = (if cpu.is_some() { 0 } else { 32 }, self.hidden(cpu));
        let fields = |bits: u32, at: u32| (at * 8 / bits, width.bytes() as u32 * 8 / bits);
        let mut value = |(from, count): (u32, u32), bits: u32, get: &dyn Fn(&super::FakeIrq) -> u64| {
            (0..count).fold(0, |value, n| {
                let id = from + n;
                let seen = id >= first && (id >= 32 || secure >> id & 1 == 0);
                let irq = self.irq(cpu.unwrap_or(0), id).filter(|_| seen);
                value | irq.map_or(0, |irq| get(irq)) << (n * bits)
            })
        };
        match offset {
            0x080..0x400 => value(fields(1, offset & 0x7f), 1, &|irq| u64::from(irq.bit(offset & !0x7f))),
            0x400..0x800 => value(fields(8, offset - 0x400), 8, &|irq| u64::from(irq.priority)),
            0xc00..0xd00 => value(fields(2, offset - 0xc00), 2, &|irq| u64::from(irq.edge) << 1),
            0x6000..0x7fe0 if cpu.is_none() => {
                self.spis.get((offset as usize - 0x6000) / 8).map_or(0, |irq| irq.route)
            }
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, cpu: Option<usize>, offset: u32, width: Width, value: u64) {
        let (first, secure, ds) = (if cpu.is_some() { 0 } else { 32 }, self.hidden(cpu), self.ds);
        let (bits, at) = match offset {
            0x080..0x400 => (1, offset & 0x7f),
            0x400..0x800 => (8, offset - 0x400),
            0xc00..0xd00 => (2, offset - 0xc00),
            0x6000..0x7fe0 if cpu.is_none() => {
                assert_eq!((offset % 8, width), (0, Width::Double));
                if let Some(irq) = self.spis.get_mut((offset as usize - 0x6000) / 8) {
                    irq.route = value;
                }
                return;
            }
            _ => return,
        };
        for n in 0..width.bytes() as u32 * 8 / bits {
            let id = at * 8 / bits + n;
            let field = value >> (n * bits);
            let seen = id >= first && (id >= 32 || secure >> id & 1 == 0);
            let Some(irq) = self.irq(cpu.unwrap_or(0), id).filter(|_| seen) else { continue };
            match bits {
                1 if offset & !0x7f == 0x80 && !ds => {}
                1 => irq.set_bit(offset & !0x7f, field & 1 != 0),
                // 5 bits of priority; the Non-secure view of DS=0 has one fewer.
                8 => irq.priority = field as u8 & if ds { 0xf8 } else { 0xf0 },
                _ if id >= 16 => irq.edge = field & 2 != 0,
                _ => {}
            }
        }
    }

    fn hidden(&self, cpu: Option<usize>) -> u32 {
        if cpu.is_some() { self.secure } else { 0 }
    }
}

impl GicRegisters for FakeCpu {
    fn gicd_read(&self, offset: u32, width: Width) -> u64 {
        let mut hw = self.hw();
        match offset {
            0x0000 => u64::from(hw.ctlr | u32::from(hw.ds) << 6 | u32::from(hw.stuck) << 31),
            0x0004 => u64::from((hw.spis.len() as u32 / 32 - 1) | 15 << 19 | 1 << 17 | 1 << 16),
            _ => hw.read(None, offset, width),
        }
    }

    fn gicd_write(&mut self, offset: u32, width: Width, value: u64) {
        let mut hw = self.hw();
        match offset {
            0x0000 => hw.ctlr = value as u32 & 0x13,
            _ => hw.write(None, offset, width, value),
        }
    }

    fn gicr_read(&self, cpu: PcpuId, offset: u32, width: Width) -> u64 {
        let mut hw = self.hw();
        match offset {
            0x14 => u64::from(hw.cpus[cpu.index()].waker | u32::from(hw.stuck) << 2),
            0x1_0000.. => hw.read(Some(cpu.index()), offset - 0x1_0000, width),
            _ => 0,
        }
    }

    fn gicr_write(&mut self, cpu: PcpuId, offset: u32, width: Width, value: u64) {
        let mut hw = self.hw();
        match offset {
            0x14 => hw.cpus[cpu.index()].waker = if value & 2 != 0 { 6 } else { 0 },
            0x1_0000.. => hw.write(Some(cpu.index()), offset - 0x1_0000, width, value),
            _ => {}
        }
    }
}
