# Run by ctest before the tests: what a user's own compilations have tuned is none of theirs.
set(ENV{WEFT_TUNING_CACHE} off)
