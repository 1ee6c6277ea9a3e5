"""Files of any accepted format become blocks: addressable pieces of Parquet."""
