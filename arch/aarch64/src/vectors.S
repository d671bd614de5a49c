// EL2's exception vectors (Arm ARM D1.3.1.2) and the way into a guest and back.
//
// While a guest runs, SP_EL2 points at its frame (`bulkhead::vcpu::Frame`: x0 at 0, x30 at 240, nothing at 248, EL2's own
// SP, x19, x29 and x30 from 256 on), so that an exit needs no memory but the frame. ELR_EL2 and SPSR_EL2 stay as they are.

.section .text.vectors, "ax"

// x2 to x29 into the frame at \base.
.macro save_from_x2 base
    stp     x2, x3, [\base, #16]
    stp     x4, x5, [\base, #32]
    stp     x6, x7, [\base, #48]
    stp     x8, x9, [\base, #64]
    stp     x10, x11, [\base, #80]
    stp     x12, x13, [\base, #96]
    stp     x14, x15, [\base, #112]
    stp     x16, x17, [\base, #128]
    stp     x18, x19, [\base, #144]
    stp     x20, x21, [\base, #160]
    stp     x22, x23, [\base, #176]
    stp     x24, x25, [\base, #192]
    stp     x26, x27, [\base, #208]
    stp     x28, x29, [\base, #224]
.endm

// An exception from EL2 itself: a bug. Everything stops, so the guest's TPIDR_EL0 may serve as scratch; the emergency
// stack is used because the fault may be the guard page below the normal one.
.macro own kind
.balign 128
    msr     tpidr_el0, x0
    mov     x0, #\kind
    b       own_fault
.endm

// An exception from the guest: all of the way out fits into its vector.
.macro lower kind
.balign 128
    stp     x0, x1, [sp]
    save_from_x2 sp
    str     x30, [sp, #240]
    ldp     x29, x30, [sp, #272]
    ldp     x1, x19, [sp, #256]
    mov     x0, #\kind
    mov     sp, x1
    ret
.endm

.balign 2048
.global bulkhead_vectors
bulkhead_vectors:
    own     0
    own     1
    own     2
    own     3
    own     4
    own     5
    own     6
    // An SError of EL2's own: expected in bulkhead_drain_serror, and nowhere else.
.balign 128
    msr     tpidr_el0, x0
    msr     tpidrro_el0, x1
    mrs     x0, elr_el2
    adr     x1, bulkhead_drain_serror
    sub     x0, x0, x1
    cmp     x0, #drain_end - bulkhead_drain_serror
    b.lo    drained
    mrs     x1, tpidrro_el0
    mov     x0, #7
    b       own_fault
    lower   0
    lower   1
    lower   2
    lower   3
    lower   0
    lower   1
    lower   2
    lower   3

// The last vector's 128 bytes end here.
.balign 128

// fn(x0: *mut Frame) -> x0: the vector's kind. Clobbers everything but x19, x29, x30 and SP.
.global bulkhead_enter
bulkhead_enter:
    mov     x1, sp
    stp     x29, x30, [x0, #272]
    stp     x1, x19, [x0, #256]
    mov     sp, x0
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldr     x30, [sp, #240]
    ldp     x0, x1, [sp]
    eret
    // No speculation past ERET (Arm ARM B2.3.9; SB is not in ARMv8.0).
    dsb     nsh
    isb

// fn(): an SError that waits comes now, and is forgotten (Arm ARM D1.3.4.2: it is taken by the ISB behind the DSB that makes it
// pending at the latest). Many are one.
.global bulkhead_drain_serror
bulkhead_drain_serror:
    dsb     sy
    msr     daifclr, #4
    isb
    msr     daifset, #4
    ret
drain_end:

drained:
    mrs     x0, spsr_el2
    orr     x0, x0, #0x100              // A
    msr     spsr_el2, x0
    mrs     x1, tpidrro_el0
    mrs     x0, tpidr_el0
    eret

own_fault:
    // x0 = kind, the interrupted x0 in TPIDR_EL0. TPIDR_EL2 = this CPU's emergency stack, its end.
    msr     tpidrro_el0, x1
    mrs     x1, tpidr_el2
    sub     x1, x1, #288
    save_from_x2 x1
    mrs     x2, tpidr_el0
    mrs     x3, tpidrro_el0
    stp     x2, x3, [x1]
    str     x30, [x1, #240]
    mov     x2, sp
    str     x2, [x1, #256]
    mov     sp, x1
    // fn(frame, kind) -> !
    mov     x2, x0
    mov     x0, x1
    mov     x1, x2
    b       bulkhead_own_fault
