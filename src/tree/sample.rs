//! Trees for tests, written in place.

use vm_fdt::{FdtReserveEntry, FdtWriter};

/// `dtc` writes these nodes, but `vm-fdt` does not take the names.
const SPECIAL: [(&str, &str); 2] = [("__symbols__", "x.symbols.x"), ("__overlay__", "x.overlay.x")];

/// A node to be.
#[derive(Clone)]
pub(crate) struct Sample {
    name: String,
    props: Vec<(String, Vec<u8>)>,
    children: Vec<Sample>,
}

/// A node of this name; the root's is empty.
pub(crate) fn node(name: &str) -> Sample {
    Sample { name: name.into(), props: Vec::new(), children: Vec::new() }
}

impl Sample {
    pub(crate) fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.props.push((name.into(), value.into()));
        self
    }

    /// `name;`
    pub(crate) fn flag(self, name: &str) -> Self {
        self.bytes(name, &[])
    }

    /// `name = "a", "b";`
    pub(crate) fn text<'v>(self, name: &str, values: impl IntoIterator<Item = &'v str>) -> Self {
        let value = values.into_iter().flat_map(|v| v.bytes().chain([0])).collect::<Vec<_>>();
        self.bytes(name, &value)
    }

    /// `name = <1 2>;`
    pub(crate) fn cells(self, name: &str, values: impl IntoIterator<Item = u32>) -> Self {
        let value = values.into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>();
        self.bytes(name, &value)
    }

    pub(crate) fn child(mut self, child: Sample) -> Self {
        self.children.push(child);
        self
    }

    /// The flattened tree with this root.
    pub(crate) fn blob(&self) -> Vec<u8> {
        self.blob_reserving(&[])
    }

    /// The same, with memory reservations: address and size.
    pub(crate) fn blob_reserving(&self, entries: &[(u64, u64)]) -> Vec<u8> {
        let entries: Vec<_> =
            entries.iter().map(|(at, size)| FdtReserveEntry::new(*at, *size).unwrap()).collect();
        let mut writer = FdtWriter::new_with_mem_reserv(&entries).unwrap();
        self.write(&mut writer);
        let mut blob = writer.finish().unwrap();
        for (name, placeholder) in SPECIAL {
            while let Some(at) = blob.windows(name.len()).position(|b| b == placeholder.as_bytes()) {
                blob[at..at + name.len()].copy_from_slice(name.as_bytes());
            }
        }
        blob
    }

    fn write(&self, writer: &mut FdtWriter) {
        let special = SPECIAL.iter().find(|(name, _)| *name == self.name);
        let node = writer.begin_node(special.map_or(&self.name, |(_, placeholder)| placeholder)).unwrap();
        for (name, value) in &self.props {
            writer.property(name, value).unwrap();
        }
        for child in &self.children {
            child.write(writer);
        }
        writer.end_node(node).unwrap();
    }
}

/// A small board, shaped like QEMU's virt.
pub(crate) fn board() -> Sample {
    let cpu = |n: u32| {
        node(&format!("cpu@{n}")).text("device_type", ["cpu"]).cells("reg", [n]).cells("phandle", [0x10 + n])
    };
    let serial = |name: &str, at: u32| {
        node(name).text("compatible", ["arm,pl011", "arm,primecell"]).cells("reg", [0, at, 0, 0x1000])
    };
    node("")
        .text("compatible", ["linux,dummy-virt"])
        .cells("#address-cells", [2])
        .cells("#size-cells", [2])
        .cells("interrupt-parent", [1])
        .child(
            node("cpus").cells("#address-cells", [1]).cells("#size-cells", [0]).child(cpu(0)).child(cpu(1)),
        )
        .child(
            node("memory@40000000")
                .text("device_type", ["memory"])
                .cells("reg", [0, 0x4000_0000, 0, 1 << 30]),
        )
        .child(
            node("intc@8000000")
                .flag("interrupt-controller")
                .cells("#interrupt-cells", [3])
                .cells("phandle", [1])
                .child(node("its@8080000").flag("msi-controller").cells("phandle", [2])),
        )
        .child(serial("pl011@9000000", 0x900_0000))
        .child(serial("pl011@9040000", 0x904_0000).text("status", ["disabled"]))
        .child(node("pl031@9010000").text("compatible", ["arm,pl031"]).cells("phandle", [3]))
        .child(node("virtio_mmio@a000000").text("compatible", ["virtio,mmio"]))
        .child(node("virtio_mmio@a000200").text("compatible", ["virtio,mmio"]))
        .child(node("aliases").text("serial0", ["/pl011@9000000"]).text("rtc", ["/pl031@9010000"]))
        .child(node("__symbols__").text("uart1", ["/pl011@9040000"]).text("rtc", ["/pl031@9010000"]))
        .child(node("chosen").text("stdout-path", ["serial0:115200"]))
}
