//! All numbers, and their names.

use super::Code;

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $number:literal;)*) => {
        /// The numbers by name. The first two digits say what it is about: 00 the description by itself; 01 names, CPUs and
        /// memory; 02 devices, interrupts and DMA; 03 images and archive; 04 the board's tree; 05 what only boot can see; 09 a
        /// bug in Bulkhead.
        pub mod code {
            use super::Code;

            $($(#[$doc])+ pub const $name: Code = Code($number);)*
        }

        /// Every number, rising.
        pub const CODES: &[Code] = &[$(code::$name),*];
    };
}

codes! {
    /// The description is of another version, or none.
    SCHEMA = 1;
    /// There is no cell.
    NO_CELLS = 2;
    /// There are too many cells.
    TOO_MANY_CELLS = 3;
    /// Two root cells.
    TWO_ROOTS = 4;
    /// A cell's name with a unit address.
    CELL_NAME = 5;
    /// A node where there can be none.
    UNKNOWN_NODE = 6;
    /// A property that does not exist.
    UNKNOWN_PROPERTY = 7;
    /// A name or value that is reserved.
    NOT_YET = 8;
    /// A value of a wrong type, or out of range.
    EXPECTED = 9;
    /// A property that must be there is not.
    MISSING = 10;
    /// Two properties that exclude each other.
    CONFLICT = 11;
    /// A property that the root cell cannot have.
    NOT_IN_ROOT = 12;
    /// A name twice in one list.
    LISTED_TWICE = 13;
    /// A virtual console without a hypervisor's console.
    NO_CONSOLE = 14;
    /// `wfi` in a cell whose interrupts are virtual.
    WFI_OF_VIRTUAL = 15;
    /// `smc-allow` with a call that no cell may make of firmware.
    SMC_KEPT = 16;

    /// A name that stands for nothing.
    NAME_UNKNOWN = 101;
    /// A name that could be several nodes.
    NAME_AMBIGUOUS = 102;
    /// A CPU's name that is no CPU's.
    NOT_A_CPU = 103;
    /// A CPU in two cells.
    CPU_TWICE = 104;
    /// More CPUs wanted than are left.
    TOO_FEW_CPUS = 105;
    /// No CPU left for a cell.
    NO_CPU = 106;
    /// More memory wanted than is free.
    TOO_LITTLE_MEMORY = 108;
    /// VHE on a CPU without, or none on a CPU that cannot do without.
    VHE = 109;

    /// A device's name that is nothing a cell can own.
    NOT_A_DEVICE = 201;
    /// A device in two cells.
    DEVICE_TWICE = 202;
    /// Two cells' devices in one page.
    PAGE_TWICE = 203;
    /// Two cells' devices on one interrupt.
    INTERRUPT_TWICE = 204;
    /// A device apart from its bus.
    BUS_ELSEWHERE = 205;
    /// A device's registers in memory or in the GIC.
    DEVICE_OVER = 206;
    /// DMA that nothing holds back.
    UNPROTECTED_DMA = 207;
    /// Two things at one address of a cell.
    ADDRESS_TWICE = 208;
    /// A device whose clock, reset, supply, pins or power another cell controls.
    FOREIGN_DEPENDENCY = 209;
    /// The hypervisor's console in a cell.
    CONSOLE_CLAIMED = 210;
    /// A device on the console's page or interrupt.
    CONSOLE_SHARED = 211;
    /// A console that cannot be driven.
    CONSOLE_UNFIT = 212;
    /// A virtual console without a hypervisor's, on this board.
    CONSOLE_MISSING = 213;
    /// A restart beside DMA that nothing stops.
    UNSTOPPABLE_DMA = 214;
    /// A watchdog for which the board leaves no room.
    NO_PLACE_FOR_WATCHDOG = 215;
    /// A watchdog of a direct cell, and no virtual cell beside it.
    NOBODY_WATCHES = 216;
    /// A virtual device of a direct cell, and no interrupt to spare.
    NO_SPARE_INTERRUPT = 217;
    /// DMA that misses the cell's memory; a warning.
    DMA_ELSEWHERE = 218;

    /// The archive is compressed.
    ARCHIVE_COMPRESSED = 301;
    /// The archive is damaged, or none.
    ARCHIVE_DAMAGED = 302;
    /// Two files of one name.
    FILE_TWICE = 303;
    /// Too many files.
    TOO_MANY_FILES = 304;
    /// The archive does not begin with the description.
    NO_DESCRIPTION = 305;
    /// A file that the archive has not.
    NO_FILE = 306;
    /// An empty file.
    IMAGE_EMPTY = 307;
    /// A compressed file.
    IMAGE_COMPRESSED = 308;
    /// An image inside another format.
    IMAGE_WRAPPED = 309;
    /// An image for another machine or byte order.
    IMAGE_MACHINE = 310;
    /// A kernel that does not say its size.
    KERNEL_TOO_OLD = 311;
    /// An ELF file that is no static executable.
    NOT_EXECUTABLE = 312;
    /// A file that is cut off.
    IMAGE_TRUNCATED = 313;
    /// Segments that cannot be.
    ELF_SEGMENTS = 314;
    /// An entry outside of the code.
    ENTRY = 315;
    /// `kernel` that is none.
    NOT_LINUX = 316;
    /// No room in the cell's memory.
    NO_ROOM = 317;
    /// Linked for where the cell has no memory.
    LINKED_ELSEWHERE = 318;
    /// A load address where the cell has no memory.
    LOAD_ADDRESS = 319;
    /// A place for an image that says itself where it goes.
    PLACED_BY_ITSELF = 320;
    /// A `dtb` that is no tree, or too large.
    BAD_DTB = 321;
    /// A `dtb-overlay` that is none.
    BAD_OVERLAY = 322;

    /// A tree that is damaged.
    TREE_DAMAGED = 401;
    /// A tree of an unknown version.
    TREE_VERSION = 402;
    /// A tree that is too large or too deep.
    TREE_TOO_BIG = 403;
    /// Two nodes or properties of one name.
    TREE_NAME_TWICE = 404;
    /// A phandle of two nodes.
    PHANDLE_TWICE = 405;
    /// Too many banks or reservations.
    TOO_MANY_REGIONS = 406;
    /// No CPU.
    BOARD_NO_CPUS = 407;
    /// Too many CPUs.
    BOARD_TOO_MANY_CPUS = 408;
    /// A CPU's `reg` that cannot be.
    BOARD_CPU_REG = 409;
    /// Two CPUs of one `reg`.
    BOARD_CPU_TWICE = 410;
    /// No memory.
    BOARD_NO_MEMORY = 411;
    /// No GIC.
    BOARD_NO_GIC = 413;
    /// A GIC whose `reg` lacks a frame.
    BOARD_GIC_REG = 414;
    /// No timer.
    BOARD_NO_TIMER = 415;
    /// An interrupt that cannot be handed on.
    BOARD_INTERRUPT = 416;

    /// Entered at another level than EL2.
    WRONG_EL = 501;
    /// The loader gave no archive.
    NO_ARCHIVE = 502;
    /// Something was loaded where there is no memory.
    LOADED_OUTSIDE = 503;
    /// Something was loaded over something else.
    LOADED_OVER = 504;
    /// No memory for EL2.
    NO_POOL = 505;
    /// EL2's memory does not suffice.
    POOL_TOO_SMALL = 506;
    /// An address beyond the CPU's reach.
    TOO_HIGH = 507;
    /// A cell's tree that does not fit.
    CELL_TREE = 508;
    /// The board's tree has not the CPU that boots.
    BOOT_CPU = 509;
    /// The GIC does not do as it must.
    GIC_STUCK = 510;
    /// Firmware keeps interrupts that EL2 needs.
    GIC_KEPT = 511;
    /// A CPU without a redistributor.
    NO_REDISTRIBUTOR = 512;
    /// A GICv3 in the tree, and none in the CPU.
    NO_GICV3 = 513;
    /// CPUs that PSCI does not start.
    CPU_START = 514;
    /// A GICv2 without virtualization.
    NO_GICV = 520;
    /// A CPU that a guest can stop, and others with it; a warning.
    CPU_DEADLOCK = 521;

    /// A plan that breaks its promises.
    PLAN_BUG = 901;
    /// A map that breaks its promises.
    MAP_BUG = 902;
    /// A cell's tree that breaks its promises.
    CELL_TREE_BUG = 903;
}
