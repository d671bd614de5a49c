// Vectors that read the count with their first instruction: at an IRQ, and in a second table at a fault. All other exceptions go
// the usual way. x11 says where to go on; the word at x13 is cleared, which silences the device that calls there.

.section .text.measuring_vectors, "ax"
.balign 2048
.global measuring_vectors
measuring_vectors:
.set entry, 0
.rept 16
    .balign 128
.if entry == 5
    mrs     x9, cntvct_el0
    mrs     x10, icc_iar1_el1
    dsb     sy
    msr     cntv_ctl_el0, xzr
    str     wzr, [x13]
    isb
    msr     icc_eoir1_el1, x10
    isb
    mrs     x12, spsr_el1
    orr     x12, x12, #0x80             // back with IRQs masked
    msr     spsr_el1, x12
    msr     elr_el1, x11
    eret
.else
    b       {vectors} + entry * 128
.endif
    .set entry, entry + 1
.endr

.balign 2048
.global faulting_vectors
faulting_vectors:
.set entry, 0
.rept 16
    .balign 128
.if entry == 4
    mrs     x9, cntvct_el0
    msr     elr_el1, x11
    eret
.else
    b       {vectors} + entry * 128
.endif
    .set entry, entry + 1
.endr
