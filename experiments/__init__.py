"""The training runs that the book speaks of: what is varied, and what came of it, seed by seed.

`declarations` says what is trained, `python -m experiments` trains what is missing, and `records/`
holds one file for each experiment, which the pages read with `cnn_tf.recipes.read_record`.
"""
