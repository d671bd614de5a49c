//! What can be wrong between a description, its files and a board.

use crate::refusal::sentences;

sentences! {
    NAME_UNKNOWN = NAME_UNKNOWN, "%: `%`: the board has no %%";
    NAME_AMBIGUOUS = NAME_AMBIGUOUS, "%: `%`: % could be any of %; give the full path";
    NOT_A_CPU = NOT_A_CPU, "%: `cpus` has %, but % is no CPU that can be used: name one of /cpus that is enabled";
    CPU_TWICE = CPU_TWICE, "% and % both claim CPU % (%): take it out of one";
    TOO_FEW_CPUS = TOO_FEW_CPUS, "% wants % CPUs, but only % are left of the board's %: ask for fewer, or take some from another cell";
    NO_VHE = VHE, "%: `vhe` is \"on\", but % is a CPU without FEAT_VHE: say \"auto\" or \"off\"";
    NO_CPU = NO_CPU, "% has no CPU: the other cells have them all, leave it at least one";
    ROOT_MEMORY = NOT_IN_ROOT, "% is the root cell and has all memory that the others leave: take out its `memory`";
    NO_MEMORY = MISSING, "% does not say how much `memory` it needs";
    ODD_MEMORY = EXPECTED, "%: `memory` of % bytes is no multiple of 4 KiB";
    TOO_LITTLE_MEMORY = TOO_LITTLE_MEMORY, "% wants %, but only % are free: make it or another cell smaller";

    NOT_A_DEVICE = NOT_A_DEVICE, "%: `%` has %, but % %";
    DEVICE_TWICE = DEVICE_TWICE, "% and % both claim %: take it out of one";
    PAGE_TWICE = PAGE_TWICE, "%: % shares the page at % with %, which % has: give both to one cell";
    SPI_TWICE = INTERRUPT_TWICE, "%: % shares interrupt SPI % with %, which % has: give both to one cell";
    BUS_ELSEWHERE = BUS_ELSEWHERE, "%: % sits on %, which % operates: claim that instead";
    DEVICE_OVER = DEVICE_OVER, "%: the registers of % at % lie in %, which no cell can be given as a device: correct the board's tree, or take it out";
    UNPROTECTED_DMA = UNPROTECTED_DMA, "%: % can read and write all memory, the hypervisor's too; if the cell is trusted with that, it must say `unprotected-dma = \"accept\"`";
    UNSTOPPABLE_DMA = UNSTOPPABLE_DMA, "%: `on-crash`: the cell cannot be restarted, for nothing is known to stop the DMA of %, which would go on into its next life: give that to another cell, or say `on-crash = \"stop\"`";
    FOREIGN_DEPENDENCY = FOREIGN_DEPENDENCY, "%: the % of % is in the hands of % (%), which can stop or break it: give both to one cell, or say `foreign-dependencies = \"accept\"`";
    DEVICE_IN_THE_WAY = ADDRESS_TWICE, "%: % and % would both be at %: give the device to another cell, or move the cell's memory with `ram-base`";
    VIRTUAL_IN_THE_WAY = ADDRESS_TWICE, "%: % and % would both be at %: choose another `ram-base`";

    NO_PLACE_FOR_WATCHDOG = NO_PLACE_FOR_WATCHDOG, "%: `watchdog`: the devices of the board leave no room for it, which takes %: disable one in the board's tree";
    NOBODY_WATCHES = NOBODY_WATCHES, "%: `watchdog`: EL2's timer reaches no CPU while direct cells run: let one cell have `interrupt-mode = \"virtual\"`, or take out `watchdog`";
    NO_SPARE_INTERRUPT = NO_SPARE_INTERRUPT, "%: `%`: a direct cell takes this interrupt from hardware, and the board's devices have every SPI: disable one in the board's tree, or let the cell have `interrupt-mode = \"virtual\"`";
    CONSOLE_CLAIMED = CONSOLE_CLAIMED, "%: `%` has %, but % is the hypervisor's console: write `console = \"virtual\"` instead, or name another one with `hypervisor { console = NAME; }`, or \"none\"";
    CONSOLE_SHARED = CONSOLE_SHARED, "%: % shares % with %, the hypervisor's console: disable it in the board's tree, or name another console with `hypervisor { console = NAME; }`";
    CONSOLE_UNFIT = CONSOLE_UNFIT, "%: `console`: % cannot be the console: it must be an enabled UART that Bulkhead can drive (`bulkhead explain BH0212` lists them), with an SPI";
    CONSOLE_MISSING = CONSOLE_MISSING, "%: `console`: the hypervisor has no console here: name a UART with `hypervisor { console = NAME; }`, or give the cell a UART of its own";

    NO_FILE = NO_FILE, "%: `%`: the archive has no file %";
    BAD_IMAGE = IMAGE_EMPTY, "%: %: %";
    NOT_LINUX = NOT_LINUX, "%: % is no arm64 Linux Image: name it with `image` if it is an ELF file or a raw binary";
    NO_ROOM = NO_ROOM, "%: no room for %%, %: give it more `memory` (% is the largest free stretch)";
    LINKED_ELSEWHERE = LINKED_ELSEWHERE, "%: % is linked for %, which is not free in the cell's memory: link it for % on, or say `ram-base`";
    ELF_ENTRY = ENTRY, "%: % begins at %, where it has no code: its entry point is no physical address";
    RAW_ENTRY = ENTRY, "%: `entry` of % is %, but it lies at %: choose an address in there";
    LOAD_ADDRESS = LOAD_ADDRESS, "%: % would lie at %, which is not free in the cell's memory from % on: choose another `load-address`, or say `ram-base`";
    PLACED_BY_ITSELF = PLACED_BY_ITSELF, "%: % is %, which says itself where it lies and begins: take out `%`";
    BAD_DTB = BAD_DTB, "%: %: %";
    DTB_TOO_LARGE = BAD_DTB, "%: % has %, which is more than the % that there are for a tree: make it smaller, or give the cell more `memory`";
    BAD_OVERLAY = BAD_OVERLAY, "%: %: %";

    TWICE = PLAN_BUG, "% at % belongs to two cells: a bug in Bulkhead, please report it";
    LOST = PLAN_BUG, "% % belongs to nobody, or not to one: a bug in Bulkhead, please report it";
    MISPLACED = PLAN_BUG, "%: % at % is out of place: a bug in Bulkhead, please report it";
}
