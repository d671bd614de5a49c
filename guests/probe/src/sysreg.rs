//! System registers that trap, and those that do not.

use rt::exception::catch;
use rt::{psci, read_reg, regs};

use crate::report::{Check, Needs, Outcome, check, why};
use crate::{ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("sysreg_undefined", Needs::Nothing, undefined),
    check("sysreg_impdef", Needs::Bulkhead, implementation_defined),
    check("sysreg_actlr", Needs::Nothing, actlr),
    check("sysreg_set_way", Needs::Nothing, set_way),
    check("sysreg_fp", Needs::Nothing, floating_point),
    check("sysreg_pmu", Needs::Nothing, performance_monitors),
    check("sysreg_debug", Needs::Nothing, debug),
];

/// ESR_EL1 of an undefined instruction: EC 0, IL (Arm ARM D24.2.40).
const UNDEFINED: u64 = 1 << 25;

fn must_be_undefined(name: &str, read: fn() -> u64) -> Outcome {
    match catch(read) {
        Ok(value) => Err(why(format_args!("{name} can be read: {value:#x}"))),
        Err(fault) if fault.esr == UNDEFINED => Ok(()),
        Err(fault) => Err(why(format_args!("{name} gave ESR {:#x}", fault.esr))),
    }
}

fn must_work(name: &str, read: fn() -> u64) -> Outcome {
    match catch(read) {
        Ok(_) => Ok(()),
        Err(fault) => Err(why(format_args!("{name} gave ESR {:#x}", fault.esr))),
    }
}

fn undefined() -> Outcome {
    must_be_undefined("HCR_EL2", regs::reader!("S3_4_C1_C1_0"))?;
    must_be_undefined("ICC_SRE_EL2", regs::reader!("S3_4_C12_C9_5"))?;
    must_be_undefined("SCR_EL3", regs::reader!("S3_6_C1_C1_0"))?;
    must_be_undefined("S3_3_C15_C15_7", regs::reader!("S3_3_C15_C15_7"))
}

fn implementation_defined() -> Outcome {
    must_be_undefined("S3_1_C15_C2_0", regs::reader!("S3_1_C15_C2_0"))?;
    must_be_undefined("S3_0_C15_C0_0", regs::reader!("S3_0_C15_C0_0"))?;
    must_be_undefined("S3_0_C11_C0_2", regs::reader!("S3_0_C11_C0_2"))
}

fn actlr() -> Outcome {
    must_work("ACTLR_EL1", regs::reader!("actlr_el1"))
}

fn set_way() -> Outcome {
    match catch(regs::clean_set_way) {
        Ok(()) => Ok(()),
        Err(fault) => Err(why(format_args!("DC CSW gave ESR {:#x}", fault.esr))),
    }
}

fn floating_point() -> Outcome {
    let kept = regs::floating_point_across(|| {
        psci::call(psci::function::VERSION, [0; 3]);
    });
    ensure!(kept, "V8 changed over a call");
    Ok(())
}

fn performance_monitors() -> Outcome {
    match read_reg!("id_aa64dfr0_el1") >> 8 & 0xf {
        0 | 0xf => Ok(()),
        _ => must_work("PMCR_EL0", regs::reader!("pmcr_el0")),
    }
}

fn debug() -> Outcome {
    must_work("MDSCR_EL1", regs::reader!("mdscr_el1"))?;
    must_work("DBGBVR0_EL1", regs::reader!("dbgbvr0_el1"))?;
    must_work("OSLSR_EL1", regs::reader!("oslsr_el1"))?;
    ensure_eq!(read_reg!("daif") & 1 << 7, 1 << 7, "DAIF.I after four traps");
    Ok(())
}
