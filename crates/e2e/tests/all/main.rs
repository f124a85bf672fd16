//! The built binary as its users meet it. One program: most of its tests wait for processes most of the
//! time, so they run beside each other, and it is linked once.

mod alerts;
mod comforts;
mod compacted;
mod controllers;
mod dead;
mod disk_full;
mod failing_sync;
mod first_answers;
mod fleet;
mod groups;
mod hostile;
mod newcomer;
mod nodes;
mod operate;
mod operations;
mod readme;
mod recover;
mod refusals;
mod retention;
mod rot;
mod three_nodes;
