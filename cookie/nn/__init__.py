"""Building blocks of the models: encoders, shared transformer, pooling, losses."""
