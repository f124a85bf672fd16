//! Each API behind a real broker and a shard that answers by script.

mod admin;
mod coordinators;
mod delete_records;
mod described;
mod fetch;
mod groups;
mod many;
mod metadata;
mod offset_fetch;
mod offsets;
mod operate;
mod produce;
mod quotas;
mod sets;
mod telemetry;
mod versions;
