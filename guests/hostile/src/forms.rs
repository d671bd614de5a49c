//! Every way to touch an address, a line each: x0 is the address, x1 to x5 and v0 to v3 carry data.

use core::arch::global_asm;

/// What may come of a form at an emulated register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One general register: its syndrome says all, and the access is performed.
    Single,
    /// No syndrome says what it would do (Arm ARM D24.2.40, ISV): it is refused, or the CPU does not have it.
    Refused,
    /// No access: maintenance, translation, prefetch.
    Nothing,
}

/// A form.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The instruction.
    pub name: &'static str,
    /// What may come of it.
    pub kind: Kind,
}

macro_rules! forms {
    (@text $name:literal) => { $name };
    (@text $name:literal $code:literal) => { $code };
    ($($kind:ident: $($name:literal $(= $code:literal)?),+;)+) => {
        global_asm!(
            ".arch_extension fp", ".arch_extension simd", ".arch_extension lse", ".arch_extension rcpc",
            ".section .rodata.forms, \"a\"", ".balign 4", "hostile_forms:",
            $($(forms!(@text $name $($code)?),)+)+
            ".arch_extension nolse",
        );
        /// All of them, in the order of their words.
        pub static FORMS: &[Form] = &[$($(Form { name: $name, kind: Kind::$kind }),+),+];
    };
}

// The first eight are named in `stubs::form`.
forms! {
    Single:
        "ldrb w1, [x0]", "ldrh w1, [x0]", "ldr w1, [x0]", "ldr x1, [x0]",
        "strb w1, [x0]", "strh w1, [x0]", "str w1, [x0]", "str x1, [x0]",
        "ldrsb w1, [x0]", "ldrsb x1, [x0]", "ldrsh w1, [x0]", "ldrsh x1, [x0]", "ldrsw x1, [x0]",
        "ldr wzr, [x0]", "str xzr, [x0]",
        "ldur w1, [x0, #1]", "stur w1, [x0, #1]", "ldur x1, [x0, #-3]", "stur x1, [x0, #-3]",
        "ldr x0, [x0]", "str w0, [x0]", "ldr w1, [x0, w6, uxtw]", "str x1, [x0, x6]",
        "ldtr w1, [x0]", "sttr w1, [x0]", "ldtrsb x1, [x0]",
        "ldar w1, [x0]", "stlr w1, [x0]", "ldarb w1, [x0]", "stlrh w1, [x0]",
        "ldapr w1, [x0]", "ldapur x1, [x0]" = ".inst 0xd9400001", "stlur x1, [x0]" = ".inst 0xd9000001",
        "ldraa x1, [x0]" = ".inst 0xf8200401";
    Refused:
        "ldr w1, [x0], #4", "str w1, [x0], #4", "ldr x1, [x0, #-8]!", "str x1, [x0, #-8]!",
        "ldrb w1, [x0], #1", "strh w1, [x0, #2]!",
        "ldp w1, w2, [x0]", "ldp x1, x2, [x0]", "ldp x1, x2, [x0], #16", "ldpsw x1, x2, [x0]",
        "stp w1, w2, [x0]", "stp x1, x2, [x0]", "stp x1, x2, [x0, #-16]!",
        "ldnp x1, x2, [x0]", "stnp x1, x2, [x0]",
        "ldxr w1, [x0]", "ldxr x1, [x0]", "ldxrb w1, [x0]", "ldaxrb w1, [x0]", "ldxp x1, x2, [x0]", "ldaxp w1, w2, [x0]",
        "ldr b0, [x0]", "ldr h0, [x0]", "ldr s0, [x0]", "ldr d0, [x0]", "ldr q0, [x0]",
        "str b0, [x0]", "str h0, [x0]", "str s0, [x0]", "str d0, [x0]", "str q0, [x0]",
        "ldp s0, s1, [x0]", "ldp q0, q1, [x0]", "stp d0, d1, [x0]", "stp q0, q1, [x0]",
        "ld1 v0.16b, [x0]" = "ld1 {{v0.16b}}, [x0]", "ld1 v0.s[1], [x0]" = "ld1 {{v0.s}}[1], [x0]", "ld2 v0.8h, v1.8h, [x0]" = "ld2 {{v0.8h, v1.8h}}, [x0]", "ld3 v0.b, v1.b, v2.b[7], [x0]" = "ld3 {{v0.b, v1.b, v2.b}}[7], [x0]",
        "ld4 v0.4s, v1.4s, v2.4s, v3.4s, [x0]" = "ld4 {{v0.4s, v1.4s, v2.4s, v3.4s}}, [x0]", "ld1r v0.2d, [x0]" = "ld1r {{v0.2d}}, [x0]",
        "st1 v0.16b, v1.16b, [x0]" = "st1 {{v0.16b, v1.16b}}, [x0]", "st2 v0.2d, v1.2d, [x0]" = "st2 {{v0.2d, v1.2d}}, [x0]", "st4 v0.b, v1.b, v2.b, v3.b[3], [x0]" = "st4 {{v0.b, v1.b, v2.b, v3.b}}[3], [x0]",
        "ldadd w1, w2, [x0]", "ldaddal x1, x2, [x0]", "ldsetb w1, w2, [x0]", "ldclrh w1, w2, [x0]",
        "ldeor x1, x2, [x0]", "ldsmax w1, w2, [x0]", "ldumin x1, x2, [x0]", "stadd w1, [x0]",
        "swp w1, w2, [x0]", "swpal x1, x2, [x0]", "swpb w1, w2, [x0]",
        "cas w1, w2, [x0]", "casal x1, x2, [x0]", "casb w1, w2, [x0]", "casp x2, x3, x4, x5, [x0]",
        "dc zva, x0",
        "ld64b x0, [x0]" = ".inst 0xf83fd000", "st64b x0, [x0]" = ".inst 0xf83f9000", "st64bv x0, x0, [x0]" = ".inst 0xf820b000",
        "ldiapp x1, x2, [x0]" = ".inst 0xd9421801", "stilp x1, x2, [x0]" = ".inst 0xd9021801",
        "ldclrp x1, x2, [x0]" = ".inst 0x19221001", "swpp x1, x2, [x0]" = ".inst 0x19228001",
        "cpyfp [x0]!, [x1]!, x2!" = ".inst 0x19010440", "setp [x0]!, x2!, x1" = ".inst 0x19c10440",
        "ldr z0, [x0]" = ".inst 0x85804000", "str z0, [x0]" = ".inst 0xe5804000",
        "ldr p0, [x0]" = ".inst 0x85800000", "str p0, [x0]" = ".inst 0xe5800000",
        "ldr za[w12, 0], [x0]" = ".inst 0xe1000000", "str za[w12, 0], [x0]" = ".inst 0xe1200000";
    Nothing:
        "stxr w3, w1, [x0]", "stlxr w3, x1, [x0]", "stxp w3, x1, x2, [x0]", "stxrb w3, w1, [x0]",
        "ld1w z0.s, p0/z, [x0]" = ".inst 0xa540a000", "ldff1w z0.s, p0/z, [x0]" = ".inst 0xa5406000",
        "ldnf1w z0.s, p0/z, [x0]" = ".inst 0xa550a000", "st1w z0.s, p0, [x0]" = ".inst 0xe540e000",
        "ldg x0, [x1]" = ".inst 0xd9600020", "stg x0, [x0]" = ".inst 0xd9200800",
        "prfm pldl1keep, [x0]", "prfm pstl3strm, [x0]", "prfm plil1keep, [x0]",
        "dc cvac, x0", "dc civac, x0", "dc cvau, x0", "dc ivac, x0", "ic ivau, x0",
        "dc cvap, x0" = ".inst 0xd50b7c20", "dc gva, x0" = ".inst 0xd50b7460",
        "at s1e1r, x0", "at s1e1w, x0", "at s1e0r, x0", "at s1e0w, x0",
        "tlbi vae1is, x0", "tlbi vaale1, x0";
}

unsafe extern "C" {
    static hostile_forms: u32;
}

/// The word of one.
pub fn word(n: usize) -> u32 {
    if n >= FORMS.len() {
        return crate::shot::NOP;
    }
    // SAFETY: inside the table, which has a word for each form.
    let at = unsafe { (&raw const hostile_forms).add(n) };
    // SAFETY: a word of .rodata.
    unsafe { at.read() }
}
