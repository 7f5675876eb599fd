"""How right the address engine is: a labelled corpus, the evaluator, other engines beside it."""
