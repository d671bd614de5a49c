//! What a cell is told about its start: /chosen, /aliases, /memory, /psci.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::write::{Writer, reg};
use crate::addr::{Ipa, Span};
use crate::plan::spans::SpanSet;
use crate::tree::{Node, Prop, has_part};

impl<'t, 'a> Writer<'_, 't, 'a> {
    /// Aliases of the nodes that are there.
    pub(super) fn aliases(&mut self) {
        let resolves = |path: &str| self.tree.at(path).is_some_and(|n| self.kept.is_whole(n.id()));
        let kept = |prop: &&Prop<'_>| prop.str().is_some_and(resolves);
        let board = self.tree.at("/aliases");
        let props = board.as_ref().map_or(&[][..], |board| board.props());
        let taken = props.iter().filter(kept).any(|prop| prop.name() == "serial0");
        let own = self.own_uart().filter(|_| !taken);
        if own.is_none() && !props.iter().any(|prop| kept(&prop)) {
            return;
        }
        self.fdt.begin_node("aliases");
        if let Some((uart, _)) = own {
            self.fdt.string("serial0", &format!("/{uart}"));
        }
        for prop in props.iter().filter(kept) {
            self.fdt.property(prop.name(), prop.bytes());
        }
        self.fdt.end_node();
    }

    pub(super) fn chosen(&mut self) {
        let load = &self.cell.load;
        self.fdt.begin_node("chosen");
        if let Some(bootargs) = &load.bootargs {
            self.fdt.string("bootargs", bootargs);
        }
        if let Some(path) = self.stdout_path() {
            self.fdt.string("stdout-path", &path);
        }
        if let Some(initrd) = load.initrd {
            self.fdt.property("linux,initrd-start", &initrd.start().0.to_be_bytes());
            self.fdt.property("linux,initrd-end", &initrd.end().0.to_be_bytes());
        }
        self.fdt.property("kaslr-seed", &[0; 8]);
        self.fdt.property("rng-seed", &[0; 32]);
        self.fdt.end_node();
    }

    /// The board's console if the cell has it; else, in a cell that is not the root cell, its first UART.
    fn stdout_path(&self) -> Option<String> {
        if let Some(node) = self.cell.stdout {
            return Some(self.tree.node(node).path());
        }
        if let Some((uart, _)) = self.own_uart() {
            return Some(format!("/{uart}"));
        }
        let chosen = self.tree.at("/chosen");
        let prop = chosen.and_then(|n| n.prop("stdout-path").or_else(|| n.prop("linux,stdout-path")));
        let board = prop.and_then(|p| p.str()).filter(|path| {
            let name = path.split(':').next().unwrap_or("");
            let node = if name.starts_with('/') { self.tree.at(name) } else { self.tree.alias(name) };
            node.is_some_and(|n| self.kept.is_whole(n.id()))
        });
        match board {
            Some(path) => Some(String::from(path)),
            None if self.cell.root => None,
            None => {
                let nodes = self.cell.devices.iter().map(|id| self.tree.node(*id));
                nodes.into_iter().find(is_uart).map(|n| n.path())
            }
        }
    }

    /// All of the cell's RAM in one node, neighbours joined.
    pub(super) fn memory(&mut self) -> Result<(), GuestTreeError> {
        let mut banks = SpanSet::default();
        for region in &self.cell.ram {
            region.seen().into_iter().for_each(|span| banks.insert(span));
        }
        let root = self.tree.root();
        let banks: Vec<Span<Ipa>> = banks.iter().flat_map(|bank| pieces(bank, root.size_cells())).collect();
        let Some(first) = banks.first() else { return Ok(()) };
        let name = format!("memory@{:x}", first.start().0);
        let value = reg(&name, (root.address_cells(), root.size_cells()), &banks)?;
        self.fdt.begin_node(&name);
        self.fdt.property("device_type", b"memory\0");
        self.fdt.property("reg", &value);
        self.fdt.end_node();
        Ok(())
    }

    /// PSCI as Bulkhead answers it. Both instructions work; the one that the board names is kept.
    pub(super) fn psci(&mut self) {
        let board = self.tree.nodes().find(|n| n.compatibles().any(|c| c.starts_with("arm,psci")));
        let method = match board.and_then(|n| n.prop("method")).and_then(|p| p.str()) {
            Some("smc") => "smc",
            _ => "hvc",
        };
        self.fdt.begin_node("psci");
        self.fdt.property("compatible", b"arm,psci-1.0\0arm,psci-0.2\0");
        self.fdt.string("method", method);
        self.fdt.end_node();
    }
}

/// A bank, in pieces whose sizes fit so many cells: with one, as on a Raspberry Pi 4, of 2 GiB each where it has 4 GiB or more.
fn pieces(bank: Span<Ipa>, size_cells: u32) -> impl Iterator<Item = Span<Ipa>> {
    const PIECE: u64 = 2 << 30;
    let whole = size_cells != 1 || bank.size() <= u64::from(u32::MAX);
    let mut rest = Some(bank);
    core::iter::from_fn(move || {
        let all = rest.take()?;
        if whole || all.size() <= PIECE {
            return Some(all);
        }
        let middle = Ipa(all.start().0.wrapping_add(PIECE));
        rest = Span::between(middle, all.end());
        Span::between(all.start(), middle)
    })
}

fn is_uart(node: &Node<'_, '_>) -> bool {
    node.base_name() == "serial"
        || node.compatibles().any(|c| has_part(c, "uart") || c.ends_with(",pl011") || has_part(c, "16550"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(size: u64, size_cells: u32) -> Vec<(u64, u64)> {
        let bank = Span::new(Ipa(0x4000_0000), size).unwrap();
        pieces(bank, size_cells).map(|piece| (piece.start().0, piece.size())).collect()
    }

    #[test]
    fn a_bank_comes_in_pieces_where_a_size_has_one_cell() {
        const G: u64 = 1 << 30;
        assert_eq!(sizes(5 * G, 2), [(G, 5 * G)]);
        assert_eq!(sizes(4 * G - 0x1000, 1), [(G, 4 * G - 0x1000)]);
        assert_eq!(sizes(4 * G, 1), [(G, 2 * G), (3 * G, 2 * G)]);
        assert_eq!(sizes(5 * G, 1), [(G, 2 * G), (3 * G, 2 * G), (5 * G, G)]);
    }
}
