"""The few hot loops on arrays: arrays in, arrays out; no files, no anatomy."""
