// A cell's first instructions (docs/cell-abi.md): EL1, MMU off, x0 = device tree. Everything here is position
// independent and touches no memory beyond the image until the relocations are applied.

.section .head, "ax"
.global _head
_head:                                  // the arm64 Image header (Linux, Documentation/arch/arm64/booting.rst)
    b       primary
    .word   0
    .quad   0                           // text_offset
    .quad   __image_size
    .quad   0xa                         // little endian, 4 KiB pages, anywhere in memory
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .word   0

// The registers that the vCPU started with, into the record at \base; x0 and x1 are the caller's.
.macro RECORD_FROM_X2 base
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
    str     x30, [\base, #240]
.endm

primary:
    msr     tpidr_el0, x1               // the only place for one register before any memory can be named
    adrp    x1, {records}
    add     x1, x1, :lo12:{records}
    str     x0, [x1]
    RECORD_FROM_X2 x1
    mrs     x2, tpidr_el0
    str     x2, [x1, #8]
    mov     x19, x0
    mov     x20, x1
    bl      record_system

    // R_AARCH64_RELATIVE relocations. They are due at the link address too: the addends stand in the table alone.
    adr     x0, _head
    mov     x1, #{link_base}
    sub     x0, x0, x1
    adrp    x1, __rela_start
    add     x1, x1, :lo12:__rela_start
    adrp    x2, __rela_end
    add     x2, x2, :lo12:__rela_end
1:  cmp     x1, x2
    b.hs    2f
    ldp     x3, x4, [x1], #16
    ldr     x5, [x1], #8
    cmp     w4, #1027
    b.ne    park
    add     x5, x5, x0
    str     x5, [x3, x0]
    b       1b

2:  adrp    x0, __bss_start
    add     x0, x0, :lo12:__bss_start
    adrp    x1, __bss_end
    add     x1, x1, :lo12:__bss_end
3:  cmp     x0, x1
    b.hs    4f
    stp     xzr, xzr, [x0], #16
    b       3b

    // The identity map: 512 blocks of 1 GiB, all device but those that hold the image and the tree.
4:  adrp    x0, {table}
    add     x0, x0, :lo12:{table}
    adr     x1, _head
    lsr     x1, x1, #30
    lsr     x2, x19, #30
    mov     x3, xzr
    ldr     x6, =0x0040000000000701     // normal write-back, inner shareable, UXN
    ldr     x7, =0x0060000000000405     // Device-nGnRE, UXN, PXN
5:  cmp     x3, x1
    ccmp    x3, x2, #4, ne
    csel    x4, x6, x7, eq
    orr     x4, x4, x3, lsl #30
    str     x4, [x0, x3, lsl #3]
    add     x3, x3, #1
    cmp     x3, #512
    b.lo    5b

    // What was written above went past the caches: no stale line may hide it once they are on (Arm ARM D7.5).
    adr     x0, _head
    adrp    x1, __image_end
    bl      invalidate
    ic      iallu
    bl      mmu_on

    adrp    x0, {vectors}
    add     x0, x0, :lo12:{vectors}
    msr     vbar_el1, x0
    adrp    x0, {stacks}
    add     x0, x0, :lo12:{stacks}
    mov     x1, #{stack_size}
    add     sp, x0, x1
    isb
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x19
    bl      {rt_primary}
park:
    wfi
    b       park

// A vCPU that CPU_ON started: x0 = its record.
.global secondary
secondary:
    stp     x0, x1, [x0]
    RECORD_FROM_X2 x0
    mov     x20, x0
    bl      record_system
    mov     x0, x20
    add     x1, x20, #{record_size}
    bl      invalidate
    bl      mmu_on
    adrp    x0, {vectors}
    add     x0, x0, :lo12:{vectors}
    msr     vbar_el1, x0
    ldr     x1, [x20, #{record_stack}]
    mov     sp, x1
    isb
    mov     x29, xzr
    mov     x30, xzr
    ldr     x0, [x20, #{record_cpu}]
    bl      {rt_secondary}
    b       park

// System registers as found, into the record at x20; parks at any level but EL1.
record_system:
    mrs     x0, cntvct_el0
    mrs     x1, currentel
    stp     x0, x1, [x20, #248]
    cmp     x1, #4
    b.ne    park
    mrs     x0, sctlr_el1
    mrs     x1, daif
    stp     x0, x1, [x20, #264]
    mrs     x0, spsel
    mrs     x1, cntv_ctl_el0
    stp     x0, x1, [x20, #280]
    mrs     x0, cntp_ctl_el0
    mrs     x1, vbar_el1
    stp     x0, x1, [x20, #296]
    mrs     x0, ttbr0_el1
    mrs     x1, cpacr_el1
    stp     x0, x1, [x20, #312]
    ret

// Invalidates data cache lines from x0 to x1.
invalidate:
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4
    mov     x3, #4
    lsl     x3, x3, x2
    sub     x4, x3, #1
    bic     x0, x0, x4
1:  dc      ivac, x0
    add     x0, x0, x3
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ret

mmu_on:
    mov     x0, #0x04ff                 // MAIR: 0 normal write-back, 1 Device-nGnRE
    msr     mair_el1, x0
    ldr     x0, =0x00803519             // TCR: 39 bits of address, write-back walks, no TTBR1
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #0xf
    mov     x2, #5
    cmp     x1, x2
    csel    x1, x1, x2, ls
    bfi     x0, x1, #32, #3
    msr     tcr_el1, x0
    adrp    x0, {table}
    add     x0, x0, :lo12:{table}
    msr     ttbr0_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x0, =0x30d0180d             // SCTLR: RES1 bits, I, SA, C, M
    msr     sctlr_el1, x0
    isb
    ret
    .ltorg
