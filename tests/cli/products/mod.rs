//! The products, by the documents of their vendors.

mod across;
pub mod cpi;
mod cpi_files;
mod cybozu_office;
mod hand_over;
mod mailwise;
mod staff_express;
