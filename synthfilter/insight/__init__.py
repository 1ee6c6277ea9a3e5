"""What was measured, for people: charts and pages that open anywhere."""
