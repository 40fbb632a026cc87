"""The data stage: rows in, three sides of examples out, with everything that was found on the way.

stage            what a run does with its rows
check            `lathe check`: what is wrong with a file of rows, without a recipe
new              `lathe new`: a recipe for a person's own rows
choosing         the task that they are for

files/           files -> rows, each with its place
conversations/   rows of every layout -> conversations -> tokens
findings/        what is wrong with rows, one by one and all together
duplicates/      rows that stand twice, or nearly
baselines/       rules without a model, and the labels that they make look wrong
teaching/        rows that a bigger model writes
preparing/       examples on three sides, what is kept of each, what is said of them
"""
