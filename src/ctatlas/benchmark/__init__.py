"""Numbers of many models → statistics → report.

evaluate      predictions against references: the numbers of one model
reading       results of many models, metadata of the cases
scores        all of it on common axes; cohorts
resampling    bootstrap by patient
summary       means, spreads, intervals
signed_rank   pairs of models: `pairwise` tests them, `correction` corrects the p-values
ranks         who is first, and how sure that is
groups        cases by a column of the metadata; `subgroups` compares these
misleading    what would mislead a reader, as `flags`
analysis      all of this in order
files         the tables as CSV
published     what others published, cited
figures       every figure, as one function of an analysis
report        the page that a person reads
"""
