//! Generators, fault-injecting parents and the structure test.
