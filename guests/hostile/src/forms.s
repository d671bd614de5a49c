// One access each: x0 is the address, x1 to x3 and v0 to v3 carry data. forms.rs has their names in this order.
.section .rodata.forms, "a"
.balign 4
.global hostile_forms
hostile_forms:
    ldrb    w1, [x0]
    ldrh    w1, [x0]
    ldr     w1, [x0]
    ldr     x1, [x0]
    ldrsb   w1, [x0]
    ldrsb   x1, [x0]
    ldrsh   w1, [x0]
    ldrsh   x1, [x0]
    ldrsw   x1, [x0]
    ldr     wzr, [x0]
    strb    w1, [x0]
    strh    w1, [x0]
    str     w1, [x0]
    str     x1, [x0]
    str     xzr, [x0]
    ldur    w1, [x0, #1]
    stur    w1, [x0, #1]
    ldur    x1, [x0, #-3]
    stur    x1, [x0, #-3]
    ldr     w1, [x0], #4
    str     w1, [x0], #4
    ldr     x1, [x0, #-8]!
    str     x1, [x0, #-8]!
    ldp     w1, w2, [x0]
    ldp     x1, x2, [x0]
    ldp     x1, x2, [x0], #16
    stp     w1, w2, [x0]
    stp     x1, x2, [x0]
    stp     x1, x2, [x0, #-16]!
    ldpsw   x1, x2, [x0]
    ldnp    x1, x2, [x0]
    stnp    x1, x2, [x0]
    ldtr    w1, [x0]
    sttr    w1, [x0]
    ldar    w1, [x0]
    stlr    w1, [x0]
    ldarb   w1, [x0]
    stlrh   w1, [x0]
    ldxr    w1, [x0]
    ldxr    x1, [x0]
    ldaxrb  w1, [x0]
    ldxp    x1, x2, [x0]
    stxr    w3, w1, [x0]
    stlxr   w3, x1, [x0]
    stxp    w3, x1, x2, [x0]
    ldr     b0, [x0]
    ldr     h0, [x0]
    ldr     s0, [x0]
    ldr     d0, [x0]
    ldr     q0, [x0]
    str     b0, [x0]
    str     s0, [x0]
    str     d0, [x0]
    str     q0, [x0]
    ldp     q0, q1, [x0]
    stp     q0, q1, [x0]
    ld1     {{v0.16b}}, [x0]
    ld1     {{v0.s}}[1], [x0]
    ld4     {{v0.4s, v1.4s, v2.4s, v3.4s}}, [x0]
    st1     {{v0.16b, v1.16b}}, [x0]
    st4     {{v0.b, v1.b, v2.b, v3.b}}[3], [x0]
    ld1r    {{v0.2d}}, [x0]
    prfm    pldl1keep, [x0]
    prfm    pstl3strm, [x0]
    dc      zva, x0
    dc      cvac, x0
    dc      civac, x0
    dc      cvau, x0
    dc      ivac, x0
    ic      ivau, x0
    at      s1e1r, x0
    at      s1e1w, x0
    at      s1e0r, x0
    tlbi    vae1is, x0
    tlbi    vaale1, x0
.arch_extension lse
    ldadd   w1, w2, [x0]
    ldaddal x1, x2, [x0]
    ldsetb  w1, w2, [x0]
    ldclrh  w1, w2, [x0]
    ldeor   x1, x2, [x0]
    ldsmax  w1, w2, [x0]
    stadd   w1, [x0]
    swp     w1, w2, [x0]
    swpal   x1, x2, [x0]
    cas     w1, w2, [x0]
    casal   x1, x2, [x0]
    casp    x2, x3, x4, x5, [x0]
.arch_extension rcpc
    ldapr   w1, [x0]
    .inst   0xd9400001                  // ldapur x1, [x0]
    .inst   0xd9000001                  // stlur x1, [x0]
    .inst   0xf83f9000                  // st64b x0, [x0]: three words of FEAT_LS64
    .inst   0xf83fd000                  // ld64b x0, [x0]
    .inst   0xf83f9001
    .inst   0xd9200c20                  // ldg x0, [x1]: FEAT_MTE
    .inst   0xd9200820                  // stg x0, [x1]
    .inst   0x19010440                  // cpyfp [x0]!, [x1]!, x2!: FEAT_MOPS
    .inst   0x19c10440                  // setp [x0]!, x2!, x1
    .inst   0x85804000                  // ldr z0, [x0]: FEAT_SVE
    .inst   0xe5804000                  // str z0, [x0]
    .inst   0x85800000                  // ldr p0, [x0]
    .inst   0xe5800000                  // str p0, [x0]
    .inst   0xa540a000                  // ld1w {{z0.s}}, p0/z, [x0]
    .inst   0xe540e000                  // st1w {{z0.s}}, p0, [x0]
    .inst   0xa540a000                  // ld1w
    .inst   0xe1000000                  // ldr za: FEAT_SME
    .inst   0xe1200000                  // str za
.arch_extension nolse
.global hostile_forms_end
hostile_forms_end:
