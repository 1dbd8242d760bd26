"""What was done to the fleet, by whom: a record that is only ever added to."""
