//! `yubin probe` against real mail servers, and against fakes that do what a real one cannot be made to do.

mod stack;
