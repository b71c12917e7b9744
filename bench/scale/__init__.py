"""What sizes beyond one machine would take, worked out from counted FLOPs and bytes."""
