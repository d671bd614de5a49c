//! What a cell is told about its start: /chosen, /aliases, /memory, /psci.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::write::{Writer, reg};
use crate::addr::{Ipa, Span};
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
        let mut banks: Vec<Span<Ipa>> = Vec::new();
        for span in self.cell.ram.iter().filter_map(|r| Span::new(r.ipa, r.size)) {
            let joined = banks.last().filter(|last| last.end() == span.start());
            match joined.and_then(|last| Span::between(last.start(), span.end())) {
                Some(joined) => {
                    banks.pop();
                    banks.push(joined);
                }
                None => banks.push(span),
            }
        }
        let Some(first) = banks.first() else { return Ok(()) };
        let name = format!("memory@{:x}", first.start().0);
        let root = self.tree.root();
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

fn is_uart(node: &Node<'_, '_>) -> bool {
    node.base_name() == "serial"
        || node.compatibles().any(|c| has_part(c, "uart") || c.ends_with(",pl011") || has_part(c, "16550"))
}
