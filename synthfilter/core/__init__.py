"""What every stage stands on: schema, text buffers, hashing, batches, storage."""
