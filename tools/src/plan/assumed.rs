//! What is not known at the desk, and what is assumed in its place; each assumption is said. And what boot leaves out.

use bulkhead::boot::{BootError, CellError};
use bulkhead::hardware::Hardware;
use bulkhead::plan::{Checked, Plan};
use bulkhead::refusal::code;
use bulkhead::tree::{Blob, Token, Tree};

/// Boards whose firmware fills in /memory, and the fewest bytes from address 0 on that any model gets: on a Raspberry
/// Pi 4 with 1 GiB the VideoCore keeps the upper 76 MiB.
const FILLED_IN: [(&str, u32); 1] = [("raspberrypi,4-model-b", 0x3b40_0000)];

/// Fills in the memory that a board's firmware would; what was filled in is said.
pub fn memory(blob: &mut [u8]) -> Option<String> {
    let (at, size) = {
        let tree = Tree::parse(blob).ok()?;
        let (_, size) = FILLED_IN.iter().find(|(board, _)| tree.root().is_compatible(board))?;
        let node = tree.root().children().find(|node| node.base_name() == "memory")?;
        let reg = node.prop("reg")?.bytes();
        let empty = reg.len() >= 4 && reg.iter().all(|byte| *byte == 0) && tree.root().size_cells() == 1;
        (place(blob, &node.path(), reg.len())?, empty.then_some(*size)?)
    };
    // The size is the entry's last cell.
    blob.get_mut(at - 4..at)?.copy_from_slice(&size.to_be_bytes());
    Some(format!(
        "the board's tree leaves its memory to the firmware: {} MiB are assumed, as on the smallest model; the tree of \
         the running board (/sys/firmware/fdt) says it exactly",
        size >> 20
    ))
}

/// Where in the blob the value of a top node's `reg` of this size ends.
fn place(blob: &[u8], path: &str, size: usize) -> Option<usize> {
    let (mut depth, mut inside) = (0, false);
    let mut walk = Blob::open(blob).ok()?.walk();
    while let Some(token) = walk.step().ok()? {
        match token {
            Token::Begin(name) => {
                depth += 1;
                inside = depth == 2 && path.strip_prefix('/') == Some(name);
            }
            Token::End => (depth, inside) = (depth - 1, false),
            Token::Prop(prop) if inside && prop.name() == "reg" && prop.bytes().len() == size => {
                return Some(prop.bytes().as_ptr().addr() - blob.as_ptr().addr() + size);
            }
            Token::Prop(_) => {}
        }
    }
    None
}

/// Which CPUs nothing starts.
pub fn not_startable(hardware: &Hardware, tree: &Tree<'_>) -> Vec<String> {
    hardware.not_startable(tree).into_iter().map(|error| BootError::Hardware(error).to_string()).collect()
}

/// Which cells boot leaves out, for the board's interrupt controller cannot give them what they ask for.
pub fn left_out(hardware: &Hardware, plan: &Plan<Checked>) -> Vec<BootError> {
    let cells = plan.cells.iter().filter(|cell| !hardware.gic.has(cell.interrupts));
    cells
        .map(|cell| BootError::Cell { cell: cell.name.clone(), error: CellError::NoVirtualInterface })
        .collect()
}

/// Which CPUs have an erratum by which a guest can stop them: their names do not tell the revision, which boot reads. QEMU's have none.
pub fn deadlock(hardware: &Hardware, tree: &Tree<'_>) -> Option<String> {
    const NAMES: [&str; 2] = ["arm,cortex-a57", "arm,cortex-a77"];
    let nodes = hardware.cpus.iter().map(|cpu| tree.node(cpu.node));
    let first = nodes.into_iter().find(|node| NAMES.iter().any(|name| node.is_compatible(name)))?;
    Some(format!(
        "{}: {} may be of a revision that a guest can stop, and the machine with it: let all cells be trusted",
        code::CPU_DEADLOCK,
        first.path()
    ))
}
