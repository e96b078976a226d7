"""Measurements that the documents quote; `python -m benchmarks NAME` runs one."""
