// The object that owns the precompiled headers of cmake/WeftMlir.cmake; it has no code.
