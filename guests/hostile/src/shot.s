// One shot: a few instructions that may fault in any way, with the registers they want, and what came of it.
//
// Shot (shot.rs): x0 to x7 at 0, code at 64, ESR at 72, FAR at 80, ELR at 88, SPSR at 96, faults at 104, vector at 112,
// the SPSR to start with at 120.

.section .text.shot, "ax"

// fn(x0: *mut Shot), at EL1: the code ends with RET. It may change x0 to x11 and nothing else of the runtime's.
//
// While it runs: x12, x13 scratch of the vectors; x14 the first fault's vector; x15 how many faults; x16 to x18 ESR, FAR, ELR of the
// first; x19 the shot; x20 to x26 what is put back; x28 where to land.
.global hostile_shoot
hostile_shoot:
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x19, x0
    str     x19, [sp, #96]
    mrs     x20, vbar_el1
    mrs     x21, daif
    mrs     x22, tpidr_el1
    mrs     x23, cpacr_el1
    mov     x24, sp
    mrs     x25, mdscr_el1
    mrs     x26, contextidr_el1
    msr     daifset, #0xf
    adrp    x9, hostile_vectors
    add     x9, x9, :lo12:hostile_vectors
    msr     vbar_el1, x9
    isb
    mov     x14, xzr
    mov     x15, xzr
    mov     x16, xzr
    mov     x17, xzr
    mov     x18, xzr
    adr     x28, land
    ldr     x10, [x19, #64]
    ldr     x9, [x19, #120]
    ldp     x0, x1, [x19]
    ldp     x2, x3, [x19, #16]
    ldp     x4, x5, [x19, #32]
    ldp     x6, x7, [x19, #48]
    cbnz    x9, 1f
    blr     x10
land:
    msr     spsel, #1
    msr     daifset, #0xf
    mov     sp, x24
    stp     x0, x1, [x19]
    stp     x2, x3, [x19, #16]
    stp     x4, x5, [x19, #32]
    stp     x6, x7, [x19, #48]
    stp     x16, x17, [x19, #72]
    str     x18, [x19, #88]
    stp     x15, x14, [x19, #104]
    b       home

    // At EL0, or in any other state that an SPSR asks for: no register but SP_EL1 comes back, so the way home stands there.
1:  msr     spsr_el1, x9
    msr     elr_el1, x10
    stp     x20, x21, [sp, #-64]!
    stp     x22, x23, [sp, #16]
    stp     x25, x26, [sp, #32]
    isb
    eret

// Whatever ends a shot at EL0.
lower:                                  // x0, x1 at the stack's top, x1 the vector
    str     x30, [sp, #16]
    add     x30, sp, #32                // the stack as it was before the ERET
    str     x19, [sp, #24]
    ldr     x19, [x30, #160]            // the shot
    stp     x2, x3, [x19, #16]
    stp     x4, x5, [x19, #32]
    stp     x6, x7, [x19, #48]
    ldp     x2, x3, [sp]
    stp     x2, x3, [x19]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [x19, #72]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [x19, #88]
    mov     x2, #1
    stp     x2, x1, [x19, #104]
    add     sp, sp, #32
    ldp     x22, x23, [sp, #16]
    ldp     x25, x26, [sp, #32]
    ldp     x20, x21, [sp], #64
home:
    msr     vbar_el1, x20
    msr     tpidr_el1, x22
    msr     cpacr_el1, x23
    msr     mdscr_el1, x25
    msr     contextidr_el1, x26
    msr     daif, x21
    isb
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret

// A fault at EL1: noted if it is the first. A fetch from nowhere lands, all else is stepped over.
.macro same vector
.balign 128
    mov     x13, #\vector
    b       note
.endm
// An interrupt at EL1: some shot has let them in. Masked again.
.macro masks
.balign 128
    mrs     x12, spsr_el1
    orr     x12, x12, #0x3c0
    msr     spsr_el1, x12
    eret
.endm
.macro ends vector
.balign 128
    sub     sp, sp, #32
    stp     x0, x1, [sp]
    mov     x1, #\vector
    b       lower
.endm
.balign 2048
.global hostile_vectors
hostile_vectors:
    same    0
    masks
    masks
    masks
    same    4
    masks
    masks
    masks
    ends    8
    ends    9
    ends    10
    ends    11
    ends    12
    ends    13
    ends    14
    ends    15
.balign 128
note:
    mrs     x12, esr_el1
    cbnz    x15, 1f
    mov     x14, x13
    mov     x16, x12
    mrs     x17, far_el1
    mrs     x18, elr_el1
1:  add     x15, x15, #1
    ubfx    x12, x12, #26, #6
    and     x13, x12, #0x3e
    cmp     x13, #0x20                  // an instruction abort
    b.eq    2f
    cmp     x12, #0x22                  // a PC that is not aligned
    b.eq    2f
    cmp     x12, #0x0e                  // an illegal state: the whole shot is over
    b.eq    2f
    mrs     x12, elr_el1
    add     x12, x12, #4
    msr     elr_el1, x12
    eret
2:  msr     elr_el1, x28
    mov     x12, #0x3c5
    msr     spsr_el1, x12
    eret

// A vector base that points here is one whose first instruction faults.
.balign 2048
.global hostile_bad_vectors
hostile_bad_vectors:
.rept 16
    .balign 128
    udf     #0
.endr

// What ruined CPUs do, 64 bytes each, in the order of shot.rs. x0 is the distributor, x1 the bad vectors, x4 a GICv2's CPU interface.
.macro ruin
.balign 64
.endm
// No interrupt is heard any more: by a store to the CPU interface at x4, or else by this instruction; x2 is all ones.
.macro deaf value, at, system
    ruin
    mov     x2, #0xffffffff
    cbz     x4, 1f
    str     \value, [x4, #\at]
    b       2f
1:  .inst   \system
2:  wfi
    b       2b
.endm
.balign 64
.global hostile_ruins
hostile_ruins:
    ruin
    msr     vbar_el1, x1
    isb
    udf     #0
    ruin
    mov     x2, #0x3000
    msr     ttbr0_el1, x2
    isb
    tlbi    vmalle1
    dsb     sy
    isb
    ldr     x2, [x2]
    b       .
    ruin
    mov     x2, #0x80000000
    msr     vbar_el1, x2
    isb
    udf     #0
    ruin
1:  wfi
    b       1b
    ruin
1:  wfe
    b       1b
    ruin
    b       .
    ruin
1:  mov     x0, #0x84000000
    hvc     #0
    b       1b
    ruin
1:  ldr     w2, [x0, #4]
    b       1b
    ruin
    mov     w3, #-1
1:  str     w3, [x0, #0x100]
    str     w3, [x0, #0x420]
    b       1b
    ruin
1:  mov     x2, #0
    dc      cisw, x2
    b       1b
    ruin
1:  tlbi    vmalle1is
    dsb     sy
    b       1b
    ruin
    cbz     x4, 1f
    mov     w2, #0x1000000
    str     w2, [x0, #0xf00]            // GICD_SGIR
    b       . - 4
1:  mov     x2, #0x10000000000
    .inst   0xd518cba2                  // msr icc_sgi1r_el1, x2
    b       . - 4
    ruin
    // A vector base whose every vector loads from nothing again: the fault of the fault, by way of EL2 each time.
    mov     x2, #0x80000000
    msr     vbar_el1, x2
    isb
1:  ldr     w3, [x2]
    b       1b
    deaf    wzr, 0x04, 0xd518461f       // GICC_PMR, msr icc_pmr_el1, xzr
    deaf    wzr, 0x00, 0xd518ccff       // GICC_CTLR, msr icc_igrpen1_el1, xzr
    deaf    w2, 0xd0, 0xd518c902        // GICC_APR0, msr icc_ap1r0_el1, x2
