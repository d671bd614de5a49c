//! What a guest did, decoded and answered.
