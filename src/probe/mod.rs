//! Stand-in.

use crate::model::Result;
use crate::model::probe::{Probed, Settings, Target};

pub fn run(targets: &[Target], _: &Settings, told: &(dyn Fn(usize) + Sync)) -> Result<Vec<Probed>> {
    told(targets.len());
    Ok(Vec::new())
}
