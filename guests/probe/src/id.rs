//! What the ID registers tell: what a guest may use, no more.

use rt::exception::catch;
use rt::read_reg;

use crate::report::{Check, Needs, Outcome, check};
use crate::{ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("id_hidden", Needs::Bulkhead, hidden),
    check("id_gic", Needs::Nothing, gic),
    check("id_space", Needs::Nothing, space),
];

fn hidden() -> Outcome {
    let pfr0 = read_reg!("id_aa64pfr0_el1");
    let pfr1 = read_reg!("id_aa64pfr1_el1");
    let dfr0 = read_reg!("id_aa64dfr0_el1");
    let mmfr2 = read_reg!("id_aa64mmfr2_el1");
    let fields = [
        ("ID_AA64PFR0.EL2", pfr0 >> 8),
        ("ID_AA64PFR0.EL3", pfr0 >> 12),
        ("ID_AA64PFR0.MPAM", pfr0 >> 40),
        ("ID_AA64PFR0.AMU", pfr0 >> 44),
        ("ID_AA64PFR1.MPAM_frac", pfr1 >> 16),
        ("ID_AA64DFR0.TraceVer", dfr0 >> 4),
        ("ID_AA64DFR0.PMSVer", dfr0 >> 32),
        ("ID_AA64DFR0.TraceFilt", dfr0 >> 40),
        ("ID_AA64DFR0.TraceBuffer", dfr0 >> 44),
        ("ID_AA64MMFR2.NV", mmfr2 >> 24),
    ];
    for (name, value) in fields {
        ensure_eq!(value & 0xf, 0, "{name}");
    }
    Ok(())
}

fn gic() -> Outcome {
    let shown = read_reg!("id_aa64pfr0_el1") >> 24 & 0xf;
    if rt::gic::is_v2() {
        ensure_eq!(shown, 0, "ID_AA64PFR0.GIC beside a GICv2");
    } else {
        ensure!(matches!(shown, 1 | 3), "ID_AA64PFR0.GIC shows no system registers");
    }
    Ok(())
}

/// Reads every encoding of one CRm of the ID space (Arm ARM D24.2, op0 3, op1 0, CRn 0).
macro_rules! row {
    ($($crm:literal)*) => { [$(
        ($crm, [
            rt::regs::reader!("S3_0_C0_C" $crm "_0"), rt::regs::reader!("S3_0_C0_C" $crm "_1"),
            rt::regs::reader!("S3_0_C0_C" $crm "_2"), rt::regs::reader!("S3_0_C0_C" $crm "_3"),
            rt::regs::reader!("S3_0_C0_C" $crm "_4"), rt::regs::reader!("S3_0_C0_C" $crm "_5"),
            rt::regs::reader!("S3_0_C0_C" $crm "_6"), rt::regs::reader!("S3_0_C0_C" $crm "_7"),
        ]),
    )*] };
}

type Row = (&'static str, [fn() -> u64; 8]);

fn space() -> Outcome {
    let rows: [Row; 7] = row!("1" "2" "3" "4" "5" "6" "7");
    for (crm, readers) in rows {
        for (op2, read) in readers.iter().enumerate() {
            if let Err(fault) = catch(read) {
                ensure!(false, "S3_0_C0_C{crm}_{op2} gave ESR {:#x}", fault.esr);
            }
        }
    }
    Ok(())
}
