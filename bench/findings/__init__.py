"""From records to what they say: evidence, differences with intervals, claims."""
