// An excursion: out by an ERET, back by whatever exception ends it (excursion.rs).

.section .text.excursion, "ax"

// fn(x0: *const Trip): x0 to x3 at 0, PC at 32, SPSR at 40.
.global rt_excursion
rt_excursion:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    ldp     x9, x10, [x0, #32]
    msr     elr_el1, x9
    msr     spsr_el1, x10
    ldp     x2, x3, [x0, #16]
    ldp     x0, x1, [x0]
    isb
    eret

// Where the handler lets the exception return to, with SP as it was at the ERET.
.global rt_excursion_back
rt_excursion_back:
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret
