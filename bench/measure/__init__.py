"""Measuring a callable: latency, throughput, memory, cost, accuracy, statistics."""
