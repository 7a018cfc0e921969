"""A configuration and ranges to a study: each trial is built, started, watched and told to the engine, which is Optuna.

`space`: ranges to values of one configuration. `study`: what is stored, and the engine's choices by name. `builds`: a
trial's values to a program. `trials`: a program's process, its reports, and how it ended. `driver`: the loop over all.
`show`: a study to tables and pictures. Loads no stage of the compiler and no engine by itself.
"""
