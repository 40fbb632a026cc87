"""The data stage: rows in, three sides of examples out, with everything that was found on the way.

    stage            prepare: what a run does with its rows       preparing/      examples, sides, what is kept of each
    check            `lathe check`, without a recipe              findings/       what is wrong with rows
    new              `lathe new`, a recipe for a person's rows    duplicates/     rows that stand twice
                                                                  baselines/      rules without a model, doubtful labels
    files/           files -> rows, each with its place
    conversations/   rows -> conversations -> tokens
"""

from lathe.data.stage import prepare

__all__ = ["prepare"]
