"""The measures of a model: tasks of lm-evaluation-harness, the perplexity of a text, samples; kept beside its run."""
