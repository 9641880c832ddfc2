"""What a run survives, measured: kills, full disks, damaged files, wrong cases, rivals, long hours."""
