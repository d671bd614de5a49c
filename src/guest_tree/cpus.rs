//! /cpus: the cell's CPUs under their virtual numbers, with the topology and the caches among them.

use alloc::format;
use alloc::vec::Vec;

use super::write::{Writer, cells};
use crate::cpu::VcpuId;
use crate::tree::{Node, NodeId, has_part};

/// What a guest may know of a CPU. No idle states, no operating points, nothing that switches or measures power: these
/// are firmware's and the hypervisor's.
const CPU: [&str; 9] = [
    "#cooling-cells",
    "capacity-dmips-mhz",
    "clock-frequency",
    "compatible",
    "device_type",
    "linux,phandle",
    "next-level-cache",
    "phandle",
    "timebase-frequency",
];

impl<'t, 'a> Writer<'_, 't, 'a> {
    pub(super) fn cpus(&mut self) {
        let board = self.tree.at("/cpus");
        let address_cells = board.and_then(|n| n.prop("#address-cells")).and_then(|p| p.u32()).unwrap_or(1);
        self.fdt.begin_node("cpus");
        self.fdt.property("#address-cells", &address_cells.to_be_bytes());
        self.fdt.property("#size-cells", &0u32.to_be_bytes());
        for (id, cpu) in (0..).map(VcpuId).zip(self.sources.cpus) {
            self.cpu(id, self.tree.node(*cpu), address_cells);
        }
        let Some(board) = board else { return self.fdt.end_node() };
        for node in board.children() {
            if node.is_compatible("cache") {
                self.cache(node);
            } else if node.name() == "cpu-map" && self.has_cpus(node) {
                self.cpu_map("cpu-map", node);
            }
        }
        self.fdt.end_node();
    }

    fn cpu(&mut self, id: VcpuId, node: Node<'t, 'a>, address_cells: u32) {
        let affinity = id.affinity().get();
        let name = format!("cpu@{affinity:x}");
        self.fdt.begin_node(&name);
        let cache = |name: &str| has_part(name, "cache-") || has_part(name, "tlb-");
        for prop in node.props() {
            let dangling = prop.name() == "next-level-cache" && !self.has_cache(node);
            if (CPU.contains(&prop.name()) || cache(prop.name())) && !dangling {
                self.fdt.property(prop.name(), prop.bytes());
            }
        }
        let mut reg = Vec::new();
        // Virtual affinities have no Aff3, so one cell is always enough; /cpus may have no more than two.
        cells(&mut reg, address_cells.clamp(1, 2), affinity);
        self.fdt.property("reg", &reg);
        self.fdt.property("enable-method", b"psci\0");
        self.caches_below(node);
        self.fdt.end_node();
    }

    fn caches_below(&mut self, node: Node<'t, 'a>) {
        for child in node.children() {
            if child.is_compatible("cache") {
                self.cache(child);
            }
        }
    }

    /// Copies a cache and those inside it, if a CPU of the cell has it.
    fn cache(&mut self, node: Node<'t, 'a>) {
        if !self.caches().contains(&node.id()) {
            return;
        }
        self.fdt.begin_node(node.name());
        for prop in node.props() {
            let dangling = prop.name() == "next-level-cache" && !self.has_cache(node);
            if !dangling && !prop.name().starts_with("power-domain") {
                self.fdt.property(prop.name(), prop.bytes());
            }
        }
        self.caches_below(node);
        self.fdt.end_node();
    }

    /// The caches of the cell's CPUs, of all levels, as far as the tree has them.
    fn caches(&self) -> Vec<NodeId> {
        let mut found = Vec::new();
        for cpu in self.sources.cpus {
            let mut at = self.tree.node(*cpu);
            while let Some(next) = self.next_cache(at).filter(|next| !found.contains(&next.id())) {
                found.push(next.id());
                at = next;
            }
        }
        found
    }

    fn has_cache(&self, node: Node<'t, 'a>) -> bool {
        self.next_cache(node).is_some()
    }

    /// The next cache on the way to memory; `None` if it is described inside a CPU of another cell.
    fn next_cache(&self, node: Node<'t, 'a>) -> Option<Node<'t, 'a>> {
        let next = self.tree.phandle(node.prop("next-level-cache")?.u32()?)?;
        let in_cpu = next.ancestors().find(|n| n.says("device_type", "cpu"));
        let reachable = in_cpu.is_none_or(|cpu| self.sources.cpus.contains(&cpu.id()));
        (next.is_compatible("cache") && reachable).then_some(next)
    }

    /// Copies a level of the topology, numbered anew: Linux stops at the first number that is missing.
    fn cpu_map(&mut self, name: &str, node: Node<'t, 'a>) {
        self.fdt.begin_node(name);
        if let Some(cpu) = node.prop("cpu") {
            self.fdt.property("cpu", cpu.bytes());
        }
        let mut numbered: Vec<(&str, u32)> = Vec::new();
        for child in node.children() {
            if !self.has_cpus(child) {
                continue;
            }
            let kind = child.name().trim_end_matches(|c: char| c.is_ascii_digit());
            let number = match numbered.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, last)) => {
                    *last = last.saturating_add(1);
                    *last
                }
                None => {
                    numbered.push((kind, 0));
                    0
                }
            };
            self.cpu_map(&format!("{kind}{number}"), child);
        }
        self.fdt.end_node();
    }

    /// Whether a CPU of the cell is in this part of the topology.
    fn has_cpus(&self, node: Node<'t, 'a>) -> bool {
        node.and_below().any(|n| {
            let cpu = n.number("cpu").and_then(|phandle| self.tree.phandle(phandle));
            cpu.is_some_and(|cpu| self.sources.cpus.contains(&cpu.id()))
        })
    }
}
