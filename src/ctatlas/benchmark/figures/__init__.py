"""The figures of a benchmark, each one function of an analysis.

style         colours that colour-blind readers tell apart, type, saving as SVG and PNG
spread        how values scatter: rainclouds, boxes of structures, shares above a value
significance  who beats whom
ranking       places in the draws, ways to rank, Kendall's tau
for_whom      sub-groups: distances from the mean, groups by models
cases         case by case: failures shared by models, one metric against the other, volumes
tolerances    NSD by tolerance
gallery       which figures an analysis gives, with their captions
"""
