//! The description: device-tree bytes become a [`Config`] here and nowhere else.
