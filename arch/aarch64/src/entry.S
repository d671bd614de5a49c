// The image's head and the way of each CPU into Rust.

// The arm64 Image header (Documentation/arch/arm64/booting.rst): little endian, 4 KiB pages, anywhere in memory.
.section .head, "ax"
.global bulkhead_head
bulkhead_head:
    b       primary
    .long   0
    .quad   0                       // text_offset
    .quad   bulkhead_image_size
    .quad   0b1010
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

.section .text.entry, "ax"
primary:
    msr     daifset, #0xf
    mov     x20, x0                 // the tree
    mrs     x21, CurrentEL
    lsr     x21, x21, #2
    cmp     x21, #2
    b.ne    0f
    mrs     x22, cntpct_el0         // counts from here (only EL2 may for certain)
0:

    // Where the loader put the tree into what is about to be zeroed, it is told so, on a stack behind the tree: nobody starts any more.
    adrp    x1, bulkhead_bss_start
    add     x1, x1, :lo12:bulkhead_bss_start
    adrp    x2, bulkhead_image_end
    cmp     x20, x1
    b.lo    1f
    cmp     x20, x2
    b.hs    1f
    ldr     w1, [x20, #4]           // the tree's size
    rev     w1, w1
    add     x1, x1, x20
    add     x1, x1, #0x8000
    and     x23, x1, #~0xf
    mov     x21, #-1
    b       2f

    // Zero .bss before relocation writes anything: MMU and caches are off, so this goes to memory.
1:  adrp    x2, bulkhead_bss_end
    add     x2, x2, :lo12:bulkhead_bss_end
    adrp    x23, bulkhead_boot_stack_end
    add     x23, x23, :lo12:bulkhead_boot_stack_end
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1], #16
    b       1b

    // Packed relative relocations (System V gABI, SHT_RELR): a number that is even is the place of a word to add the base
    // to; one that is odd has a bit for each of the 63 words behind the last. The link address is 0.
2:  adr     x0, bulkhead_head
    adrp    x1, bulkhead_relr_start
    add     x1, x1, :lo12:bulkhead_relr_start
    adrp    x2, bulkhead_relr_end
    add     x2, x2, :lo12:bulkhead_relr_end
3:  cmp     x1, x2
    b.hs    8f
    ldr     x3, [x1], #8
    tbnz    x3, #0, 4f
    add     x4, x0, x3
    ldr     x5, [x4]
    add     x5, x5, x0
    str     x5, [x4], #8
    b       3b
4:  mov     x6, x4
5:  lsr     x3, x3, #1
    cbz     x3, 7f
    tbz     x3, #0, 6f
    ldr     x5, [x6]
    add     x5, x5, x0
    str     x5, [x6]
6:  add     x6, x6, #8
    b       5b
7:  add     x4, x4, #(63 * 8)
    b       3b

8:  mov     sp, x23
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x20
    mov     x1, x21
    cmp     x21, #2
    b.ne    bulkhead_no_entry

    // A known state: no VHE where the CPU can do without, no guest, MMU and caches off.
    mov     x2, #(1 << 31)          // HCR_EL2.RW
    msr     hcr_el2, x2
    isb
    ldr     x2, =0x30c50830         // SCTLR_EL2: its RES1 bits (Arm ARM D24.2.176)
    msr     sctlr_el2, x2
    adrp    x2, bulkhead_emergency_end
    add     x2, x2, :lo12:bulkhead_emergency_end
    msr     tpidr_el2, x2
    adrp    x2, bulkhead_vectors
    add     x2, x2, :lo12:bulkhead_vectors
    msr     vbar_el2, x2
    isb
    mov     x1, x22
    b       bulkhead_primary

// fn(x0: TTBR0_EL2, x1: TCR_EL2, x2: MAIR_EL2, x3: SCTLR_EL2, x4: HCR_EL2, x5: start, x6: end)
//
// Turns MMU and caches on. What was written to [start, end) with the caches off is in memory; lines that the loader left in
// the caches would hide it, and are dropped first (Arm ARM D7.5.9: DC IVAC; booting.rst has the loader clean the image).
.global bulkhead_enable_mmu
bulkhead_enable_mmu:
    mrs     x7, ctr_el0
    ubfx    x7, x7, #16, #4
    mov     x8, #4
    lsl     x7, x8, x7              // bytes in a line
    sub     x8, x7, #1
    bic     x5, x5, x8
1:  cmp     x5, x6
    b.hs    2f
    dc      ivac, x5
    add     x5, x5, x7
    b       1b
2:  dsb     sy
    // fall through

// As above, with nothing to drop. It begins with the MMU off, or turns it off: HCR_EL2.E2H may be cached in a TLB, and gives TCR_EL2 another
// layout (Arm ARM D24.2.48, D24.2.188), so no walk may happen between the two. Meanwhile it accesses no data; what it fetches is text,
// which is clean: nobody has written it since the loader.
.global bulkhead_load_mmu
bulkhead_load_mmu:
    movz    x8, #0x0830             // SCTLR_EL2: its RES1 bits. With E2H and without TGE the same: what they say is of EL0
    movk    x8, #0x30c5, lsl #16
    dsb     sy
    msr     sctlr_el2, x8
    isb
    msr     hcr_el2, x4
    isb
    msr     mair_el2, x2
    msr     tcr_el2, x1
    msr     ttbr0_el2, x0
    isb
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el2, x3
    isb
    ret

// CPUs that leave a spin table come here, with nothing in their registers. Each looks for its `Secondary` by its affinity (offsets:
// secondary.rs). Several may share a release address, so one that is in no cell can come too: it waits for ever.
.global bulkhead_spin_entry
bulkhead_spin_entry:
    msr     daifset, #0xf
    mrs     x1, mpidr_el1
    mov     x2, #0xffffff
    orr     x2, x2, #(0xff << 32)
    and     x1, x1, x2              // Aff3, Aff2 to Aff0
    adrp    x0, bulkhead_waited_for
    add     x0, x0, :lo12:bulkhead_waited_for
    ldr     x0, [x0]
1:  cbz     x0, 2f
    ldr     x2, [x0, #56]
    cmp     x2, x1
    b.eq    bulkhead_secondary_entry
    ldr     x0, [x0, #64]
    b       1b
2:  wfi
    b       2b

// Firmware starts the other CPUs here with x0 = their `Secondary` (offsets: secondary.rs).
.global bulkhead_secondary_entry
bulkhead_secondary_entry:
    msr     daifset, #0xf
    mrs     x1, CurrentEL
    cmp     x1, #8
    b.ne    9f
    mov     x20, x0
    ldr     x4, [x20, #32]
    msr     hcr_el2, x4
    isb
    mrs     x2, hcr_el2             // E2H (bit 34) may be RES0 or RES1 on this CPU alone
    eor     x2, x2, x4
    tbnz    x2, #34, 9f
    ldr     x2, =0x30c50830
    msr     sctlr_el2, x2
    ldr     x2, [x20, #48]
    msr     tpidr_el2, x2
    adrp    x2, bulkhead_vectors
    add     x2, x2, :lo12:bulkhead_vectors
    msr     vbar_el2, x2
    isb
    ldp     x0, x1, [x20]
    ldp     x2, x3, [x20, #16]
    bl      bulkhead_load_mmu
    ldr     x1, [x20, #40]
    mov     sp, x1
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x20
    b       bulkhead_secondary
    // Not EL2, or not with VHE as the others: this CPU cannot be used; it is reported as one that never arrived.
9:  wfi
    b       9b
