// Canaries in registers.
.section .text.canary, "ax"

// fn(rounds) -> how many of x1 to x28 and x30 did not keep their values while x0 counted down.
.global victim_general
victim_general:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x29, #0x3c5a
    movk    x29, #0xc3a5, lsl #16
    movk    x29, #0x5ac3, lsl #48
.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,30
    add     x\n, x29, #\n
.endr
1:  subs    x0, x0, #1
    b.ne    1b
.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,30
    sub     x\n, x\n, #\n
    cmp     x\n, x29
    cinc    x0, x0, ne
.endr
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret

// A value of its own in both halves of each vector register; CPACR_EL1.FPEN lets them be used.
.global victim_plant_vectors
victim_plant_vectors:
    mrs     x0, cpacr_el1
    orr     x0, x0, #(3 << 20)
    msr     cpacr_el1, x0
    isb
    mov     x0, #0x1eaf
    movk    x0, #0xfeed, lsl #32
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x1, x0, #\n
    dup     v\n\().2d, x1
.endr
    ret

// fn() -> how many halves changed.
.global victim_vectors
victim_vectors:
    mov     x2, #0x1eaf
    movk    x2, #0xfeed, lsl #32
    mov     x0, xzr
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    umov    x1, v\n\().d[0]
    sub     x1, x1, #\n
    cmp     x1, x2
    cinc    x0, x0, ne
    umov    x1, v\n\().d[1]
    sub     x1, x1, #\n
    cmp     x1, x2
    cinc    x0, x0, ne
.endr
    ret
