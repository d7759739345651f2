// The object that owns a set of precompiled headers (WeftTargets.cmake); it has no code.
