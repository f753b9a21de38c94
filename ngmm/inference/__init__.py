"""From an estimate to its uncertainty: functions of arrays."""
