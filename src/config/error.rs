//! What can be wrong with a description by itself. The first part of each is its place.

use crate::refusal::sentences;

sentences! {
    SCHEMA = SCHEMA, "%: this is no cell description of a known version; write compatible = \"bulkhead,cells-v1\"";
    NO_CELLS = NO_CELLS, "%: there is no cell; each node below the root is one";
    TOO_MANY_CELLS = TOO_MANY_CELLS, "%: there are more than 64 cells";
    TWO_ROOTS = TWO_ROOTS, "%: % is the root cell already; take `root` out of one of the two";
    CELL_NAME = CELL_NAME, "%: a cell has a plain name, without `@`";
    UNKNOWN_NODE = UNKNOWN_NODE, "%: there can be no node here";
    UNKNOWN_PROPERTY = UNKNOWN_PROPERTY, "%: there is no such property%";
    NOT_YET = NOT_YET, "%: this version of Bulkhead does not have this yet";
    EXPECTED = EXPECTED, "%: expected %";
    MISSING = MISSING, "%: this is missing; %";
    CONFLICT = CONFLICT, "%: this and % exclude each other";
    NOT_IN_ROOT = NOT_IN_ROOT, "%: the root cell has all that is left, where it is, so it cannot say this";
    WFI_OF_VIRTUAL = WFI_OF_VIRTUAL, "%: this is for `interrupt-mode = \"direct\"`: in the other mode WFI never exits";
    SMC_KEPT = SMC_KEPT, "%: % is no fast call of a SiP or OEM service (0x82000000 to 0x8300ffff, 0xc2000000 to 0xc300ffff): no other may reach firmware";
    LISTED_TWICE = LISTED_TWICE, "%: % is there twice";
    NO_CONSOLE = NO_CONSOLE, "%: the hypervisor has no console to put this on; take out `console = \"none\"` of /hypervisor";
}
