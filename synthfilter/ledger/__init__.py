"""The ledger: a Delta table of which document was used in which build."""
