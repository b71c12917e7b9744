"""What frozen encoders make of a data set: computed once, kept, read in place of pixels."""
