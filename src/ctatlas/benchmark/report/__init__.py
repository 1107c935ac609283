"""The report: one page that reads like the results section of a paper, and needs nothing but itself.

words     numbers and facts as sentences
tables    what stands in the tables of the page
page      all of it as one HTML file, with its figures as SVG and PNG beside it
"""
