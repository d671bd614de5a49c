//! The interfaces of a CPU of whose GIC it is not known beforehand which one it is: each access asks, and goes to `gicv2`, or to `gic`
//! and `interface`.

use bulkhead::cpu::{PcpuId, SgiTarget};
use bulkhead::intid::Sgi;
use bulkhead::ports::{
    CommonReg, CpuInterface, Gic, GicRegisters, GicVersion, LentInterface, VirtualInterface, Width,
};

use crate::cpu::{AnyGic, Cpu, Which};

/// A port whose accesses go to the one that is there.
macro_rules! forward {
    ($port:ident: $(fn $access:ident($which:ident; $($name:ident: $type:ty),*) $(-> $value:ty)?;)*) => {
        impl $port for Cpu<AnyGic> {
            $(forward!(@$which $access; $($name: $type),*; $($value)?);)*
        }
    };
    (@gic $access:ident; $($name:ident: $type:ty),*; $($value:ty)?) => {
        fn $access(&self, $($name: $type),*) $(-> $value)? {
            match self.gic() {
                Which::V2(gic) => gic.$access($($name),*),
                Which::V3(gic) => gic.$access($($name),*),
            }
        }
    };
    (@gic_mut $access:ident; $($name:ident: $type:ty),*; $($value:ty)?) => {
        fn $access(&mut self, $($name: $type),*) $(-> $value)? {
            match self.gic_mut() {
                Which::V2(gic) => gic.$access($($name),*),
                Which::V3(gic) => gic.$access($($name),*),
            }
        }
    };
}

impl Gic for Cpu<AnyGic> {
    type Plain = Self;

    fn version(&self) -> GicVersion {
        if self.gicv2.is_some() { GicVersion::V2 } else { GicVersion::V3 }
    }

    fn plain(&mut self) -> &mut Self {
        self
    }
}

forward! { GicRegisters:
    fn gicd_read(gic; offset: u32, width: Width) -> u64;
    fn gicd_write(gic_mut; offset: u32, width: Width, value: u64);
    fn gicr_read(gic; cpu: PcpuId, offset: u32, width: Width) -> u64;
    fn gicr_write(gic_mut; cpu: PcpuId, offset: u32, width: Width, value: u64);
}

forward! { CpuInterface:
    fn acknowledge(gic_mut;) -> u32;
    fn running_priority(gic;) -> u8;
    fn drop_priority(gic_mut; intid: u32);
    fn deactivate(gic_mut; intid: u32);
    fn end(gic_mut; intid: u32);
    fn send_sgi(gic_mut; sgi: Sgi, to: SgiTarget);
    fn send_event(gic;);
    fn admit_guests(gic_mut; admit: bool);
}

forward! { LentInterface:
    fn lend(gic_mut;);
    fn take_back(gic_mut;);
    fn common(gic; reg: CommonReg) -> u64;
    fn set_common(gic_mut; reg: CommonReg, value: u64);
    fn wait_for_guest(gic_mut;);
}

forward! { VirtualInterface:
    fn lr_count(gic;) -> usize;
    fn forgets_lines(gic;) -> bool;
    fn empty_lrs(gic;) -> u32;
    fn lr(gic; n: usize) -> u64;
    fn set_lr(gic_mut; n: usize, value: u64);
    fn ich_hcr(gic;) -> u32;
    fn set_ich_hcr(gic_mut; value: u32);
    fn ich_vmcr(gic;) -> u32;
    fn set_ich_vmcr(gic_mut; value: u32);
    fn reset_virtual_interface(gic_mut;);
}
