"""An annotated collection of many cases.

To come, in the order of the loop: catalog → add → predict → attend → check → revise → assemble → release.
"""
