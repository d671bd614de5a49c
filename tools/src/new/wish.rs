//! What somebody wants of a cell.

use std::str::FromStr;

use bulkhead::refusal::Code;

/// A cell as it is wished for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellWish {
    /// Its name.
    pub name: String,
    /// Whether it gets all that is left.
    pub root: bool,
    /// Names of CPUs, or how many; none for the default.
    pub cpus: Vec<String>,
    /// How much memory, as the description says it.
    pub memory: Option<String>,
    /// Names of devices.
    pub devices: Vec<String>,
    /// A program.
    pub image: Option<String>,
    /// A Linux kernel.
    pub kernel: Option<String>,
    /// What Linux starts from.
    pub initrd: Option<String>,
    /// The command line.
    pub bootargs: Option<String>,
    /// What its owner is to accept: the refusal's number, and the nodes that it names.
    pub accepts: Vec<(Code, Vec<String>)>,
}

/// Why a wish cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// There is no name.
    #[error("a cell needs a name of letters, digits, `-` and `_`: NAME:cpus=1,memory=16M")]
    Name,
    /// Not KEY=VALUE.
    #[error("`{0}` is not KEY=VALUE")]
    NoValue(String),
    /// No such key.
    #[error("there is no key `{0}`: cpus, memory, device, image, kernel, initrd and bootargs are known")]
    Key(String),
    /// A value that a source cannot hold.
    #[error("`{0}` has a quotation mark, a backslash or a control character")]
    Value(String),
}

impl CellWish {
    /// A name that a node can have.
    pub fn is_name(text: &str) -> bool {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(known) && text.len() < 32
    }

    /// Text that can stand between quotation marks.
    pub fn is_value(text: &str) -> bool {
        !text.is_empty() && !text.contains(|c: char| c == '"' || c == '\\' || c.is_control())
    }
}

impl FromStr for CellWish {
    type Err = WishError;

    /// Reads `NAME:KEY=VALUE,KEY=VALUE`; a value ends at a comma that a known key follows.
    fn from_str(text: &str) -> Result<Self, WishError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        if !Self::is_name(name) {
            return Err(WishError::Name);
        }
        let mut wish = Self { name: name.into(), ..Self::default() };
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in rest.split(',').filter(|part| !part.is_empty()) {
            match (part.split_once('='), pairs.last_mut()) {
                (Some((key, value)), _) if KEYS.contains(&key) => pairs.push((key.into(), value.into())),
                // A command line has commas of its own: console=ttyAMA0,115200.
                (_, Some((key, value))) if key == "bootargs" => {
                    value.push(',');
                    value.push_str(part);
                }
                (Some((key, _)), _) => return Err(WishError::Key(key.into())),
                (None, _) => return Err(WishError::NoValue(part.into())),
            }
        }
        for (key, value) in pairs {
            if !Self::is_value(&value) {
                return Err(WishError::Value(value));
            }
            match key.as_str() {
                "cpus" => wish.cpus.push(value),
                "device" => wish.devices.push(value),
                "memory" => wish.memory = Some(value),
                "image" => wish.image = Some(value),
                "kernel" => wish.kernel = Some(value),
                "initrd" => wish.initrd = Some(value),
                _ => wish.bootargs = Some(value),
            }
        }
        Ok(wish)
    }
}

const KEYS: [&str; 7] = ["cpus", "memory", "device", "image", "kernel", "initrd", "bootargs"];
