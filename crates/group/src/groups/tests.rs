//! The machine as its host uses it: dialogues from text files, and properties under random
//! commands.

mod dialogue;
mod properties;
mod script;
mod world;
